//! Which entries are asked for.

use std::str::FromStr;

use ringfence_json::{Object, Value};
use ringfence_store::Query;
use ringfence_types::{Decision, EntryKind, RunId, Timestamp};

/// What entries must be about; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these kinds; any if empty.
    pub kinds: Vec<EntryKind>,
    /// In this workspace.
    pub workspace: Option<String>,
    /// Of this agent.
    pub agent: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
    /// For this user.
    pub user: Option<String>,
    /// In this conversation.
    pub conversation: Option<String>,
    /// On this tool server.
    pub server: Option<String>,
    /// On this tool, or on `server/tool`.
    pub tool: Option<String>,
    /// Of this model, or where the agent named it and a route or a failover led on to another.
    pub model: Option<String>,
    /// With this decision.
    pub decision: Option<Decision>,
    /// Where this rule decided or matched, in force: what it would have decided in shadow is not asked for.
    pub rule: Option<String>,
    /// Answered by this person.
    pub approver: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// The names under which a filter's parts are asked for.
pub const FILTER_FIELDS: [&str; 14] = [
    "kind",
    "workspace",
    "agent",
    "run",
    "user",
    "conversation",
    "server",
    "tool",
    "model",
    "decision",
    "rule",
    "approver",
    "since",
    "until",
];

/// A part of a filter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not a value of that part.
    #[error("`{name}` cannot be `{value}`: {cause}")]
    Value {
        /// Which part.
        name: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        cause: String,
    },
    /// Not a part.
    #[error("entries cannot be asked for by `{0}`")]
    Name(String),
}

// === impl Filter ===

impl Filter {
    /// Sets one part from its text. Kinds may be several, with commas between.
    ///
    /// # Errors
    /// When there is no such part, or the text is not one of its values.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), FilterError> {
        let known = FILTER_FIELDS.into_iter().find(|known| *known == name);
        let name = known.ok_or_else(|| FilterError::Name(crate::shown::line(name)))?;
        let wrong = |cause: &dyn std::fmt::Display| FilterError::Value {
            name,
            value: crate::shown::line(text),
            cause: cause.to_string(),
        };
        match name {
            "kind" => self.kinds = kinds(text)?,
            "workspace" => self.workspace = Some(text.to_owned()),
            "agent" => self.agent = Some(text.to_owned()),
            "run" => self.run = Some(text.parse().map_err(|error| wrong(&error))?),
            "user" => self.user = Some(text.to_owned()),
            "conversation" => self.conversation = Some(text.to_owned()),
            "server" => self.server = Some(text.to_owned()),
            "tool" => self.tool = Some(text.to_owned()),
            "model" => self.model = Some(text.to_owned()),
            "decision" => {
                self.decision = Some(text.to_ascii_uppercase().parse().map_err(|error| wrong(&error))?);
            }
            "rule" => self.rule = Some(text.to_owned()),
            "approver" => self.approver = Some(text.to_owned()),
            "since" => self.since = Some(text.parse().map_err(|error| wrong(&error))?),
            _ => self.until = Some(text.parse().map_err(|error| wrong(&error))?),
        }
        Ok(())
    }

    /// Its parts as they are asked for.
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        [
            ("kind", (!kinds.is_empty()).then(|| kinds.join(","))),
            ("workspace", self.workspace.clone()),
            ("agent", self.agent.clone()),
            ("run", self.run.map(|run| run.to_string())),
            ("user", self.user.clone()),
            ("conversation", self.conversation.clone()),
            ("server", self.server.clone()),
            ("tool", self.tool.clone()),
            ("model", self.model.clone()),
            ("decision", self.decision.map(|decision| decision.to_string())),
            ("rule", self.rule.clone()),
            ("approver", self.approver.clone()),
            ("since", self.since.map(|at| at.to_string())),
            ("until", self.until.map(|at| at.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// What the index is asked: everything that it can tell apart, so at least what [`Filter::matches`]. A name that
    /// cannot be one is left to that.
    pub(super) fn query(&self, from: u64, limit: usize) -> Query {
        Query {
            kind: if let [kind] = self.kinds[..] { Some(kind) } else { None },
            workspace: name(self.workspace.as_ref()),
            agent: name(self.agent.as_ref()),
            run: self.run,
            user: name(self.user.as_ref()),
            conversation: name(self.conversation.as_ref()),
            server: name(self.server.as_ref()),
            tool: self.tool.clone(),
            model: name(self.model.as_ref()),
            decision: self.decision,
            rule: name(self.rule.as_ref()),
            approver: name(self.approver.as_ref()),
            since: self.since,
            until: self.until,
            limit: u64::try_from(limit).ok(),
            after: from.checked_sub(1),
            before: None,
        }
    }

    /// Whether an entry is asked for.
    pub fn matches(&self, entry: &Object) -> bool {
        let text = |name: &str| entry.text(name).unwrap_or_default();
        let is = |wanted: Option<&String>, name: &str| wanted.is_none_or(|wanted| text(name) == wanted);
        // Texts of moments sort as the moments do.
        let at = text("at");
        (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.as_str() == text("kind")))
            && is(self.workspace.as_ref(), "workspace")
            && is(self.agent.as_ref(), "agent")
            && self.run.is_none_or(|run| text("run") == run.to_string())
            && is(self.user.as_ref(), "user")
            && is(self.conversation.as_ref(), "conversation")
            && is(self.server.as_ref(), "server")
            && self.model.as_ref().is_none_or(|model| is_model(entry, model))
            && self.tool.as_ref().is_none_or(|tool| is_tool(entry, tool))
            && self.decision.is_none_or(|decision| text("decision") == decision.as_str())
            && self.rule.as_ref().is_none_or(|rule| has_rule(entry, rule))
            && is(self.approver.as_ref(), "approver")
            && self.since.is_none_or(|since| at >= since.to_string().as_str())
            && self.until.is_none_or(|until| at < until.to_string().as_str())
    }
}

fn name<T: FromStr>(text: Option<&String>) -> Option<T> {
    text.and_then(|text| text.parse().ok())
}

fn kinds(text: &str) -> Result<Vec<EntryKind>, FilterError> {
    let read = |word: &str| {
        word.trim().parse().map_err(|_| {
            let known: Vec<&str> = EntryKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let near = ringfence_document::nearest(word, known.iter().copied());
            let cause = near.map_or_else(|| known.join(", "), |near| format!("did you mean `{near}`?"));
            FilterError::Value { name: "kind", value: crate::shown::line(word), cause }
        })
    };
    text.split(',').map(read).collect()
}

fn is_tool(entry: &Object, wanted: &str) -> bool {
    let tool = entry.text("tool").unwrap_or_default();
    let server = entry.text("server").unwrap_or_default();
    // A tool's own name may hold a slash, so the whole is tried first.
    tool == wanted || wanted.split_once('/').is_some_and(|(of, name)| of == server && name == tool)
}

/// A call is of the model that it ended at, and of the one that was named.
fn is_model(entry: &Object, wanted: &str) -> bool {
    let named = || entry.get("facts").and_then(|facts| facts.get("named")).and_then(Value::as_str);
    entry.text("model").is_some_and(|model| model == wanted || named() == Some(wanted))
}

fn has_rule(entry: &Object, wanted: &str) -> bool {
    let listed = |name: &str| entry.get(name).and_then(Value::as_array).unwrap_or_default();
    let named = |value: &Value| {
        value.as_str() == Some(wanted) || value.get("rule").and_then(Value::as_str) == Some(wanted)
    };
    entry.text("rule") == Some(wanted)
        || ["rules", "requirements", "answers"].iter().any(|name| listed(name).iter().any(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Object {
        Object::new()
            .with("at", "2026-11-21T10:00:00.000000Z")
            .with("kind", "intent")
            .with("workspace", "research")
            .with("agent", "assistant")
            .with("user", "erin")
            .with("server", "search")
            .with("tool", "query")
            .with("decision", "ALLOW")
            .with("rule", "reads")
            .with("rules", Value::Array(vec!["reads".into(), "all".into()]))
            .with("shadow", Value::Array(vec!["tried".into()]))
            .with("approver", "dana")
    }

    #[test]
    fn all_parts_that_are_given_must_hold() {
        let cases = [
            ("kind", "intent,refusal", true),
            ("kind", "outcome", false),
            ("workspace", "research", true),
            ("workspace", "other", false),
            ("agent", "assistant", true),
            ("agent", "other", false),
            ("user", "erin", true),
            ("user", "kim", false),
            ("conversation", "c1", false),
            ("server", "search", true),
            ("server", "other", false),
            ("model", "smart", false),
            ("tool", "query", true),
            ("tool", "search/query", true),
            ("tool", "other/query", false),
            ("decision", "allow", true),
            ("decision", "DENY", false),
            ("rule", "all", true),
            ("rule", "other", false),
            // The index knows no rules in shadow, so nobody else may.
            ("rule", "tried", false),
            ("approver", "dana", true),
            ("approver", "kim", false),
            ("since", "2026-11-21T10:00:00Z", true),
            ("since", "2026-11-21T10:00:01Z", false),
            ("until", "2026-11-21T10:00:00Z", false),
            ("until", "2026-11-21T10:00:01Z", true),
        ];
        for (name, text, expected) in cases {
            let mut filter = Filter::default();
            filter.set(name, text).unwrap();
            assert_eq!(filter.matches(&entry()), expected, "{name}={text}");
            filter.set("agent", "nobody").unwrap();
            assert!(!filter.matches(&entry()));
        }
    }

    #[test]
    fn a_call_is_found_by_the_model_that_was_named_too() {
        let facts = || Object::new().with("named", "auto");
        let call = Object::new().with("kind", "intent").with("model", "fast").with("facts", facts());
        // What a tool's facts say under that name is no model.
        let tool = entry().with("facts", facts());
        for (model, expected) in [("fast", true), ("auto", true), ("smart", false)] {
            let mut filter = Filter::default();
            filter.set("model", model).unwrap();
            assert_eq!((filter.matches(&call), filter.matches(&tool)), (expected, false), "{model}");
        }
    }

    #[test]
    fn parts_are_read_back_and_bad_ones_named() {
        let mut filter = Filter::default();
        for (name, text) in
            [("kind", "intent,refusal"), ("decision", "DENY"), ("since", "2026-11-21T10:00:00Z")]
        {
            filter.set(name, text).unwrap();
        }
        let mut again = Filter::default();
        for (name, text) in filter.parts() {
            again.set(name, &text).unwrap();
        }
        assert_eq!(again, filter);
        assert!(filter.set("kind", "intents").unwrap_err().to_string().contains("did you mean `intent`?"));
        assert!(filter.set("colour", "red").is_err());
        assert!(filter.set("run", "me").is_err());
    }
}
