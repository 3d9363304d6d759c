//! What a schema knows about arguments by name: that they exist, and what holds where a call lacks them.

use ringfence_json::{Object, Value};

use super::InputSchema;
use super::reference::{Anchors, resolve};

/// Schemas looked at for one question.
const VISITS_MAX: usize = 512;

impl InputSchema {
    /// The names of the arguments that the schema lists, each once.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = Vec::new();
        for properties in
            self.layers(&self.root).into_iter().filter_map(|layer| layer.get("properties")?.as_object())
        {
            for (name, _) in properties.iter() {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        names.into_iter()
    }

    /// Whether the schema lists an argument of that name.
    pub fn has_argument(&self, name: &str) -> bool {
        !self.at(&[name]).is_empty()
    }

    /// Whether the schema lists what a dotted path names; elements of arrays are stepped into.
    pub fn has_path(&self, path: &[&str]) -> bool {
        !path.is_empty() && !self.at(path).is_empty()
    }

    /// The default that stands at exactly this path, elements of arrays stepped into. `None` where there is none,
    /// or where several differ. For a call at hand use [`InputSchema::default_for`], which also knows the defaults
    /// of what is around.
    pub fn default_of(&self, path: &[&str]) -> Option<&Value> {
        let mut defaults = self.at(path).into_iter().filter_map(|schema| schema.get("default"));
        let first = defaults.next()?;
        defaults.all(|other| other.to_canonical() == first.to_canonical()).then_some(first)
    }

    /// What the tool will take for the value at `path`, which `arguments` lacks: the default of the first member on
    /// the way that is missing, and within it the rest of the path. `None` where the schema does not say, or where
    /// the path leads through an array.
    pub fn default_for(&self, arguments: &Object, path: &[&str]) -> Option<&Value> {
        let mut at = arguments;
        for (index, name) in path.iter().enumerate() {
            match at.get(name) {
                Some(Value::Object(inner)) => at = inner,
                Some(_) => return None,
                None => {
                    let default = self.default_of(&path[..=index])?;
                    return path[index + 1..].iter().try_fold(default, |value, name| value.get(name));
                }
            }
        }
        None
    }

    /// Every schema that describes the value at a path.
    fn at(&self, path: &[&str]) -> Vec<&Object> {
        let mut here = self.layers(&self.root);
        for name in path {
            let through_arrays: Vec<_> = here.iter().flat_map(|layer| self.elements(layer)).collect();
            let mut next = Vec::new();
            for layer in here.iter().chain(&through_arrays) {
                let member = layer.get("properties").and_then(|properties| properties.get(name));
                next.extend(member.into_iter().flat_map(|member| self.layers(member)));
                next.truncate(VISITS_MAX);
            }
            here = next;
        }
        here
    }

    /// The schemas of an array's elements, arrays of arrays included.
    fn elements<'a>(&'a self, layer: &'a Object) -> Vec<&'a Object> {
        let mut found = Vec::new();
        let mut waiting = vec![layer];
        while let Some(layer) = waiting.pop() {
            for keyword in ["items", "prefixItems"] {
                let inner: Vec<&Value> = match layer.get(keyword) {
                    Some(Value::Array(list)) => list.iter().collect(),
                    Some(one) => vec![one],
                    None => continue,
                };
                for schema in inner.into_iter().flat_map(|schema| self.layers(schema)) {
                    if found.len() < VISITS_MAX {
                        found.push(schema);
                        waiting.push(schema);
                    }
                }
            }
        }
        found
    }

    /// A schema with all that apply to the same value: what it refers to and combines.
    fn layers<'a>(&'a self, schema: &'a Value) -> Vec<&'a Object> {
        let mut found: Vec<&Object> = Vec::new();
        let mut waiting = vec![schema];
        while let Some(schema) = waiting.pop() {
            let Some(object) = schema.as_object() else { continue };
            if found.len() >= VISITS_MAX || found.iter().any(|seen| std::ptr::eq(*seen, object)) {
                continue;
            }
            found.push(object);
            // Anchors are not looked up here: generators write pointers, and not knowing a default refuses.
            let target = object.text("$ref").and_then(|to| resolve(&self.root, &Anchors::default(), to).ok());
            waiting.extend(target);
            for keyword in ["oneOf", "anyOf", "allOf"] {
                waiting.extend(object.get(keyword).and_then(Value::as_array).into_iter().flatten().rev());
            }
        }
        found
    }
}
