//! Goes through a request along the tables.

use ringfence_json::{Object, Value};
use ringfence_types::CacheWrite;
use smol_str::SmolStr;

use super::asked::{Hosted, Switches};
use super::objection::{At, Objection, ObjectionKind, clean};
use super::table::{Field, Mark, Need, Rule, Types, Unlisted, Untyped};

/// What was found in a request.
#[derive(Default)]
pub(super) struct Found {
    pub(super) images: u64,
    pub(super) image_bytes: u64,
    pub(super) documents: u64,
    pub(super) document_bytes: u64,
    pub(super) provider_tools: u64,
    pub(super) hidden_input: bool,
    pub(super) writes_cache: CacheWrite,
    pub(super) hosted: Vec<Hosted>,
    pub(super) tools: Vec<SmolStr>,
    pub(super) unknown: Vec<SmolStr>,
}

/// A walk through a request.
pub(super) struct Walk<'a> {
    pub(super) switches: &'a Switches,
    pub(super) found: Found,
}

/// The most fields on no list that one request may have.
const UNKNOWN_MAX: usize = 64;
/// The longest name of a tool or a model, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

type Checked = Result<(), Objection>;

impl Walk<'_> {
    /// The members of an object; `typed` says that one of them is the `type` by which it was found.
    pub(super) fn members(&mut self, fields: &[Field], object: &Object, typed: bool, at: &At<'_>) -> Checked {
        for (name, value) in object.iter() {
            if typed && name == "type" {
                continue;
            }
            let at = at.member(name);
            match fields.iter().find(|field| field.name == name) {
                None => self.unknown(&at)?,
                Some(_) if value.is_null() => {}
                Some(field) => self.value(field.rule, value, &at)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, rule: Rule, value: &Value, at: &At<'_>) -> Checked {
        match rule {
            Rule::Plain | Rule::Read => Ok(()),
            Rule::Word(words) => self.word(words, value, at),
            Rule::Object(fields) => self.members(fields, object(value, at)?, false, at),
            Rule::List(rule) => self.list(*rule, value, at),
            Rule::TextOr(_) if value.as_str().is_some() => Ok(()),
            Rule::TextOr(rule) => self.value(*rule, value, at),
            Rule::Typed(types) => self.typed(types, object(value, at)?, at),
            Rule::Needs(_) if is_nothing(value) => Ok(()),
            Rule::Needs(need) => self.need(need, None, at),
            Rule::ImageUrl => self.image_url(text(value, at)?, at),
            Rule::ImageData => {
                self.found.image_bytes += length(text(value, at)?);
                Ok(())
            }
            Rule::DocumentData => {
                self.found.document_bytes += length(text(value, at)?);
                Ok(())
            }
            Rule::Cache(fields) => {
                self.caches(CacheWrite::Short);
                self.members(fields, object(value, at)?, false, at)
            }
            Rule::CacheTime => {
                // The dearest for whatever is longer than the times known to be short.
                let short = matches!(text(value, at)?, "5m" | "30m");
                self.caches(if short { CacheWrite::Short } else { CacheWrite::Hour });
                Ok(())
            }
        }
    }

    fn word(&mut self, words: &[&str], value: &Value, at: &At<'_>) -> Checked {
        if words.contains(&text(value, at)?) { Ok(()) } else { self.unknown(at) }
    }

    fn list(&mut self, rule: Rule, value: &Value, at: &At<'_>) -> Checked {
        let elements = value.as_array().ok_or_else(|| expected("a list", value, at))?;
        elements.iter().enumerate().try_for_each(|(index, one)| self.value(rule, one, &at.element(index)))
    }

    fn typed(&mut self, types: &Types, object: &Object, at: &At<'_>) -> Checked {
        let name = match (object.get("type"), types.untyped) {
            (Some(Value::String(name)), _) => name.as_str(),
            (Some(Value::Null) | None, Untyped::Means(name)) => name,
            (Some(Value::Null) | None, Untyped::Item) if object.contains("role") => "message",
            (Some(Value::Null) | None, Untyped::Item) => "item_reference",
            _ => return Err(Objection::invalid(&at.member("type"), "say in a text what this is")),
        };
        let Some(variant) = types.find(name) else {
            return match types.unlisted {
                Unlisted::Unknown => self.unknown(&at.member("type")),
                Unlisted::Hosted => self.hosted(&clean(name), uses(object, at)?, &at.member("type")),
            };
        };
        self.mark(variant.mark, name, object, at)?;
        self.members(variant.fields, object, true, at)
    }

    fn mark(&mut self, mark: Mark, type_name: &str, object: &Object, at: &At<'_>) -> Checked {
        match mark {
            Mark::Text => {}
            Mark::Image => self.found.images += 1,
            Mark::Document => self.found.documents += 1,
            Mark::Opaque => self.found.hidden_input = true,
            Mark::Reference(member) => {
                let refers = object.get(member).is_none_or(Value::is_null);
                self.found.hidden_input |= refers && self.switches.stored;
            }
            Mark::Tool(names, described) => {
                self.found.provider_tools += described;
                return self.tool(names, type_name, object, at);
            }
            Mark::Needs(need) => return self.need(need, uses(object, at)?, at),
        }
        Ok(())
    }

    /// A tool that runs at the client. Those that are the provider's own have no name but their type.
    fn tool(&mut self, names: &[&str], type_name: &str, object: &Object, at: &At<'_>) -> Checked {
        let mut holder = Some(object);
        let mut name = None;
        for member in names {
            name = holder.and_then(|holder| holder.get(member));
            holder = name.and_then(Value::as_object);
        }
        let name = match name {
            Some(Value::String(name)) => name.clone(),
            None if !matches!(type_name, "function" | "custom") => type_name.into(),
            _ => return Err(Objection::invalid(at, "give this tool a name")),
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Objection::invalid(at, "the name of this tool has to have 1 to 256 bytes"));
        }
        self.found.tools.push(name);
        Ok(())
    }

    fn need(&mut self, need: Need, uses: Option<u64>, at: &At<'_>) -> Checked {
        match need {
            Need::Hosted(name) => return self.hosted(name, uses, at),
            Need::Kept | Need::Stored if !self.switches.stored => return Err(stored(at)),
            Need::Remote | Need::RemoteImage if !self.switches.remote => return Err(remote(at)),
            Need::Kept | Need::RemoteImage => return Ok(()),
            Need::Unbounded(reason) if !self.switches.pass_unknown => return Err(unbounded(reason, at)),
            Need::Unbounded(_) => self.unknown(at)?,
            Need::Stored | Need::Remote => {}
        }
        self.found.hidden_input = true;
        Ok(())
    }

    fn hosted(&mut self, name: &str, uses: Option<u64>, at: &At<'_>) -> Checked {
        if !self.switches.hosts(name) {
            let what = format!(
                "this is run by the provider, where no rule of this gateway applies; leave it out, or have `{name}` \
                 added to the agent's `hosted_tools`"
            );
            return Err(Objection::new(at, ObjectionKind::Hosted, &what));
        }
        self.found.hidden_input = true;
        self.found.provider_tools += 1;
        match self.found.hosted.iter_mut().find(|known| known.name == name) {
            Some(known) => known.uses = known.uses.zip(uses).map(|(one, other)| one.saturating_add(other)),
            None => self.found.hosted.push(Hosted { name: name.into(), uses }),
        }
        Ok(())
    }

    fn unknown(&mut self, at: &At<'_>) -> Checked {
        if !self.switches.pass_unknown {
            let what =
                "this is not known here; leave it out, or have `pass_unknown: true` set for this model";
            return Err(Objection::new(at, ObjectionKind::Unknown, what));
        }
        if self.found.unknown.len() == UNKNOWN_MAX {
            return Err(Objection::new(at, ObjectionKind::Unknown, "more than 64 fields are not known here"));
        }
        self.found.hidden_input = true;
        self.found.unknown.push(at.param().into());
        Ok(())
    }

    fn image_url(&mut self, url: &str, at: &At<'_>) -> Checked {
        let Some((head, data)) = url.split_once(',').filter(|_| has_prefix(url, "data:")) else {
            return self.need(Need::RemoteImage, None, at);
        };
        if !has_prefix(head, "data:image/") || !head.ends_with(";base64") {
            return Err(Objection::invalid(at, "an inline image begins with data:image/…;base64,"));
        }
        self.found.image_bytes += length(data);
        Ok(())
    }

    fn caches(&mut self, writes: CacheWrite) {
        self.found.writes_cache = self.found.writes_cache.max(writes);
    }
}

/// Whether a value says that there is nothing.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false)) || value.as_array().is_some_and(<[Value]>::is_empty)
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// How often a hosted tool may be used, as its declaration says.
fn uses(object: &Object, at: &At<'_>) -> Result<Option<u64>, Objection> {
    match object.get("max_uses") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(uses) => Ok(Some(uses)),
            None => Err(expected("a whole number", value, &at.member("max_uses"))),
        },
    }
}

fn object<'v>(value: &'v Value, at: &At<'_>) -> Result<&'v Object, Objection> {
    value.as_object().ok_or_else(|| expected("an object", value, at))
}

pub(super) fn text<'v>(value: &'v Value, at: &At<'_>) -> Result<&'v str, Objection> {
    value.as_str().ok_or_else(|| expected("a text", value, at))
}

pub(super) fn expected(what: &str, found: &Value, at: &At<'_>) -> Objection {
    Objection::invalid(at, &format!("expected {what}, found {}", found.kind()))
}

fn stored(at: &At<'_>) -> Objection {
    let what = "this makes the provider keep the conversation or refers to what it keeps, which cannot be seen here; \
                send the conversation itself, or have `stored: true` set for this agent";
    Objection::new(at, ObjectionKind::Stored, what)
}

fn remote(at: &At<'_>) -> Objection {
    let what = "the provider would fetch this, which cannot be seen here; send it inline, or have `remote: true` set \
                for this agent";
    Objection::new(at, ObjectionKind::Remote, what)
}

fn unbounded(reason: &str, at: &At<'_>) -> Objection {
    let what = format!(
        "nothing bounds what this costs ({reason}); leave it out, or have `pass_unknown: true` set for this model"
    );
    Objection::new(at, ObjectionKind::Unbounded, &what)
}
