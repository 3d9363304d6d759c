//! Bringing the arguments of a call within the constraints of all rules that matched.

use std::cmp::Ordering;

use ringfence_json::{Number, Object, Value, push_token};
use ringfence_types::{Code, RuleName};

use super::value::{alike, same};
use super::{ArgumentConstraint, Limit, Path};
use crate::limits::REASON_VALUES_MAX;
use crate::{InputSchema, Misfit, Narrowing};

/// What the constraints make of a call.
#[derive(Debug, Default)]
pub(crate) struct Fitted {
    /// The arguments after narrowing, if any was narrowed.
    pub arguments: Option<Object>,
    pub narrowed: Vec<Narrowing>,
    /// Why it cannot be brought within them; of several reasons that of the first constraint.
    pub misfit: Option<Misfit>,
}

/// All that holds for one path.
struct Bounds<'c> {
    path: &'c Path,
    least: Option<Bound<'c>>,
    most: Option<Bound<'c>>,
    lists: Vec<(&'c Limit, Source<'c>)>,
}

#[derive(Clone, Copy)]
struct Bound<'c> {
    value: &'c Number,
    source: Source<'c>,
}

/// Which constraint of which rule. The rank counts constraints in the order of rules.
#[derive(Clone, Copy)]
struct Source<'c> {
    rank: usize,
    rule: &'c RuleName,
}

/// Collects what is found; of several misfits the first in rank stays.
#[derive(Default)]
struct Findings {
    misfit: Option<(usize, Misfit)>,
    /// With the rank of the constraint that narrows.
    narrowed: Vec<(usize, Narrowing)>,
}

/// Applies constraints, each with the name of its rule, in the order of the rules.
pub(crate) fn apply<'c>(
    constraints: impl Iterator<Item = (&'c RuleName, &'c ArgumentConstraint)>,
    arguments: &Object,
    schema: Option<&InputSchema>,
) -> Fitted {
    let mut findings = Findings::default();
    let all = gather(constraints, arguments, schema, &mut findings);
    for bounds in &all {
        bounds.check(arguments, schema, &mut findings);
    }
    let narrowed: Vec<Narrowing> = findings.narrowed.into_iter().map(|(_, narrowing)| narrowing).collect();
    Fitted {
        arguments: (!narrowed.is_empty()).then(|| rewritten(arguments, &narrowed)),
        narrowed,
        misfit: findings.misfit.map(|(_, misfit)| misfit),
    }
}

/// Sorts constraints by the paths they apply to, keeping the narrowest bounds.
fn gather<'c>(
    constraints: impl Iterator<Item = (&'c RuleName, &'c ArgumentConstraint)>,
    arguments: &Object,
    schema: Option<&InputSchema>,
    findings: &mut Findings,
) -> Vec<Bounds<'c>> {
    let mut all: Vec<Bounds<'c>> = Vec::new();
    for (rank, (rule, constraint)) in constraints.enumerate() {
        let source = Source { rank, rule };
        let targets = constraint.names.targets(arguments, schema);
        if targets.is_empty() {
            let written = &constraint.written;
            let reason =
                format!("Rule `{rule}` has a constraint `{written}` that fits no argument of this call.");
            findings.misfit(source, Code::DeniedByPolicy, reason);
        }
        for path in targets {
            let at = all.iter().position(|bounds| bounds.path == path).unwrap_or_else(|| {
                all.push(Bounds { path, least: None, most: None, lists: Vec::new() });
                all.len() - 1
            });
            all[at].add(&constraint.limit, source);
        }
    }
    all
}

/// The arguments with every narrowed number in its place.
fn rewritten(arguments: &Object, narrowed: &[Narrowing]) -> Object {
    let mut whole = Value::Object(arguments.clone());
    for narrowing in narrowed {
        if let Some(place) = whole.pointer_mut(&narrowing.pointer) {
            *place = narrowing.to.clone();
        }
    }
    whole.into_object().unwrap_or_default()
}

// === impl Findings ===

impl Findings {
    fn misfit(&mut self, source: Source<'_>, code: Code, reason: String) {
        if self.misfit.as_ref().is_none_or(|(rank, _)| source.rank < *rank) {
            self.misfit = Some((source.rank, Misfit { code, rule: source.rule.clone(), reason }));
        }
    }

    /// A constraint that has something against a value: the first that would narrow it, else the first that refuses
    /// it. Lists were also asked about what it would be narrowed to, and that is not what is wrong with it.
    fn objection(&self) -> Option<Source<'_>> {
        let narrowed = self.narrowed.iter().map(|(rank, one)| Source { rank: *rank, rule: &one.rule });
        let misfit = self.misfit.as_ref().map(|(rank, misfit)| Source { rank: *rank, rule: &misfit.rule });
        narrowed.min_by_key(|source| source.rank).or(misfit)
    }
}

// === impl Bounds ===

impl<'c> Bounds<'c> {
    fn add(&mut self, limit: &'c Limit, source: Source<'c>) {
        let narrower = |bound: &mut Option<Bound<'c>>, value: &'c Number, keep: Ordering| {
            if bound.is_none_or(|old| value.compare(old.value) == keep) {
                *bound = Some(Bound { value, source });
            }
        };
        match limit {
            Limit::Max(value) => narrower(&mut self.most, value, Ordering::Less),
            Limit::Min(value) => narrower(&mut self.least, value, Ordering::Greater),
            Limit::Allowed(_) | Limit::Denied(_) => self.lists.push((limit, source)),
        }
    }

    /// The constraint that stands first, to name it when all are concerned.
    fn first(&self) -> Option<Source<'c>> {
        let lists = self.lists.iter().map(|(_, source)| *source);
        self.first_bound().into_iter().chain(lists).min_by_key(|source| source.rank)
    }

    fn first_bound(&self) -> Option<Source<'c>> {
        self.least.iter().chain(&self.most).map(|bound| bound.source).min_by_key(|source| source.rank)
    }

    fn check(&self, arguments: &Object, schema: Option<&InputSchema>, findings: &mut Findings) {
        if let (Some(least), Some(most)) = (self.least, self.most)
            && least.value.compare(most.value) == Ordering::Greater
        {
            let (path, first, second) = (self.path, least.source, most.source);
            let reason = format!(
                "No value of `{path}` is allowed: rule `{}` wants at least {}, rule `{}` at most {}.",
                first.rule, least.value, second.rule, most.value
            );
            let later = if first.rank > second.rank { first } else { second };
            findings.misfit(later, Code::DeniedByPolicy, reason);
            return;
        }
        let mut pointer = String::new();
        self.member(arguments, 0, &mut pointer, schema, findings);
    }

    /// Goes on into the member that segment `depth` of the path names.
    fn member(
        &self,
        object: &Object,
        depth: usize,
        pointer: &mut String,
        schema: Option<&InputSchema>,
        findings: &mut Findings,
    ) {
        let Some(name) = self.path.segments().get(depth) else { return };
        match object.get(name) {
            Some(value) => {
                let length = pointer.len();
                push_token(pointer, name);
                self.value(value, depth + 1, pointer, schema, findings);
                pointer.truncate(length);
            }
            None => self.missing(depth, schema, findings),
        }
    }

    /// A value that the first `depth` segments lead to.
    fn value(
        &self,
        value: &Value,
        depth: usize,
        pointer: &mut String,
        schema: Option<&InputSchema>,
        findings: &mut Findings,
    ) {
        let is_end = depth == self.path.segments().len();
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let length = pointer.len();
                    push_token(pointer, &index.to_string());
                    self.value(element, depth, pointer, schema, findings);
                    pointer.truncate(length);
                }
            }
            Value::Object(object) if !is_end => self.member(object, depth, pointer, schema, findings),
            _ if !is_end => self.wrong_type(self.first(), "stands in something that is no object", findings),
            _ => self.leaf(value, pointer, schema, findings),
        }
    }

    fn wrong_type(&self, source: Option<Source<'c>>, what: &str, findings: &mut Findings) {
        if let Some(source) = source {
            let reason = format!("Argument `{}` {what}; rule `{}` limits it.", self.path, source.rule);
            findings.misfit(source, Code::InvalidInput, reason);
        }
    }

    /// A single value: narrowed if it is a number, refused if a list does not have it.
    fn leaf(&self, value: &Value, pointer: &str, schema: Option<&InputSchema>, findings: &mut Findings) {
        let bounded = self.least.or(self.most).is_some();
        let narrowed = match value {
            Value::Number(number) => self.narrowed(number),
            _ if bounded => return self.wrong_type(self.first_bound(), "must be a number", findings),
            _ => None,
        };
        self.lists(value, findings);
        if value.is_null() {
            self.denying().missing(self.path.segments().len() - 1, schema, findings);
        }
        if let Some(bound) = narrowed {
            let to = Value::Number(bound.value.clone());
            self.lists(&to, findings);
            let rule = bound.source.rule.clone();
            let narrowing = Narrowing { pointer: pointer.to_owned(), from: value.clone(), to, rule };
            findings.narrowed.push((bound.source.rank, narrowing));
        }
    }

    /// Only the lists that deny. Tools take their default for a null, and that may be what is denied; who allows null
    /// has accepted it.
    fn denying(&self) -> Self {
        let denies = |(limit, _): &&(&Limit, Source<'_>)| matches!(limit, Limit::Denied(_));
        Self {
            path: self.path,
            least: None,
            most: None,
            lists: self.lists.iter().filter(denies).copied().collect(),
        }
    }

    /// The bound that the number is outside of.
    fn narrowed(&self, number: &Number) -> Option<Bound<'c>> {
        let above = self.most.filter(|most| number.compare(most.value) == Ordering::Greater);
        above.or_else(|| self.least.filter(|least| number.compare(least.value) == Ordering::Less))
    }

    fn lists(&self, value: &Value, findings: &mut Findings) {
        for (limit, source) in &self.lists {
            let Some((rule, path)) = refuses(limit, value).then_some((source.rule, self.path)) else {
                continue;
            };
            let reason = match limit {
                Limit::Allowed(values) => format!("Rule `{rule}` allows `{path}` to be {}.", listed(values)),
                _ => format!("Rule `{rule}` does not allow this value of `{path}`."),
            };
            findings.misfit(*source, Code::DeniedByPolicy, reason);
        }
    }

    /// The call lacks the argument, from segment `depth` on: every default that the pinned schema has for it, on its
    /// own or within what is around it, has to be within the limits, and there has to be one.
    fn missing(&self, depth: usize, schema: Option<&InputSchema>, findings: &mut Findings) {
        let Some(first) = self.first() else { return };
        let mut trial = Findings::default();
        let known = self.has_defaults(depth, schema, &mut trial);
        let (why, source) = match trial.objection() {
            _ if !known => ("it has no known default", first),
            Some(source) => ("its default is outside of that", source),
            None => return,
        };
        let reason = format!(
            "Argument `{}` is missing and {why}: rule `{}` limits it, so send a value.",
            self.path, source.rule
        );
        findings.misfit(source, Code::DeniedByPolicy, reason);
    }

    /// Looks at all defaults for what is missing from segment `depth` on; false if there are none, or one of what is
    /// around leaves open what the argument is.
    fn has_defaults(&self, depth: usize, schema: Option<&InputSchema>, trial: &mut Findings) -> bool {
        let mut found = 0;
        let mut known = 0;
        for length in depth + 1..=self.path.segments().len() {
            let default =
                self.path.with_strs(|strs| schema.and_then(|schema| schema.default_of(&strs[..length])));
            if let Some(default) = default {
                found += 1;
                known += usize::from(self.within_default(default, length, schema, trial));
            }
        }
        found > 0 && known == found
    }

    /// Looks at the argument inside a default that stands `depth` segments deep. Where it is not in there, the
    /// defaults further down have to say; false if they do not.
    fn within_default(
        &self,
        default: &Value,
        depth: usize,
        schema: Option<&InputSchema>,
        trial: &mut Findings,
    ) -> bool {
        match default {
            Value::Object(object) if depth < self.path.segments().len() => {
                match self.path.segments().get(depth).and_then(|name| object.get(name)) {
                    Some(value) => self.within_default(value, depth + 1, schema, trial),
                    None => self.has_defaults(depth, schema, trial),
                }
            }
            Value::Array(elements) => {
                // Each element has to have it, and each is looked at even if one lacks it.
                let mut all = true;
                for element in elements {
                    all &= self.within_default(element, depth, schema, trial);
                }
                all
            }
            _ => {
                self.value(default, depth, &mut String::new(), None, trial);
                true
            }
        }
    }
}

/// Whether a list refuses a single value. Something that is not a single value cannot be compared with a list.
fn refuses(limit: &Limit, value: &Value) -> bool {
    match limit {
        Limit::Allowed(values) => !values.iter().any(|listed| same(listed, value)),
        Limit::Denied(values) => {
            matches!(value, Value::Object(_)) || values.iter().any(|listed| alike(listed, value))
        }
        Limit::Max(_) | Limit::Min(_) => false,
    }
}

/// Some of the values, for a sentence.
fn listed(values: &[Value]) -> String {
    let shown: Vec<String> = values.iter().take(REASON_VALUES_MAX).map(Value::to_string).collect();
    match (values.len(), values.len() - shown.len()) {
        (1, _) => format!("only {}", shown.join("")),
        (_, 0) => format!("one of {}", shown.join(", ")),
        (_, more) => format!("one of {} and {more} more", shown.join(", ")),
    }
}
