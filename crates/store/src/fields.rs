//! What the index keeps of an entry, borrowed from its bytes.

use std::borrow::Cow;

use ringfence_json::Value;
use ringfence_types::{Decision, EntryKind, Timestamp};
use smol_str::SmolStr;

use crate::error::EntryFault;
use crate::members::{Members, json, string};

/// The indexed members of one entry.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) id: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: EntryKind,
    pub(crate) decision: Option<Decision>,
    /// How many alike the entry stands for.
    pub(crate) count: u64,
    pub(crate) workspace: Text<'a>,
    pub(crate) agent: Text<'a>,
    pub(crate) run: Text<'a>,
    pub(crate) user: Text<'a>,
    pub(crate) conversation: Text<'a>,
    pub(crate) server: Text<'a>,
    pub(crate) tool: Text<'a>,
    pub(crate) model: Text<'a>,
    /// The model that was named, where the call was led on to another.
    pub(crate) named: Text<'a>,
    pub(crate) operation: Text<'a>,
    pub(crate) action: Text<'a>,
    pub(crate) code: Text<'a>,
    pub(crate) status: Text<'a>,
    pub(crate) rule: Text<'a>,
    pub(crate) approval: Text<'a>,
    pub(crate) approver: Text<'a>,
    pub(crate) rules: Rules<'a>,
    /// The texts of what was set aside and of what was booked.
    pub(crate) reserved: Option<&'a str>,
    pub(crate) charge: Option<&'a str>,
}

pub(crate) type Text<'a> = Option<Cow<'a, str>>;

/// The texts of the members that name rules: few different ones, so they are only read when they are new.
#[derive(Debug, Default)]
pub(crate) struct Rules<'a> {
    rule: Option<&'a str>,
    matched: Option<&'a str>,
    answers: Option<&'a str>,
    requirements: Option<&'a str>,
}

#[derive(Default)]
struct Raw<'a> {
    id: Option<&'a str>,
    at: Option<&'a str>,
    kind: Option<&'a str>,
    decision: Option<&'a str>,
    count: Option<&'a str>,
    workspace: Option<&'a str>,
    agent: Option<&'a str>,
    run: Option<&'a str>,
    user: Option<&'a str>,
    conversation: Option<&'a str>,
    server: Option<&'a str>,
    tool: Option<&'a str>,
    model: Option<&'a str>,
    facts: Option<&'a str>,
    operation: Option<&'a str>,
    action: Option<&'a str>,
    code: Option<&'a str>,
    status: Option<&'a str>,
    approval: Option<&'a str>,
    approver: Option<&'a str>,
    reserved: Option<&'a str>,
    charge: Option<&'a str>,
    rules: Rules<'a>,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn read(entry: &'a [u8]) -> Result<Self, EntryFault> {
        let mut raw = Raw::default();
        for member in Members::new(entry)? {
            let (name, value) = member?;
            if let Some(place) = raw.place(name)
                && place.replace(value).is_some()
            {
                return Err(EntryFault::Malformed);
            }
        }
        raw.fields()
    }
}

// === impl Raw ===

impl<'a> Raw<'a> {
    /// Where the member belongs. What became of something has a word of its own in each kind of entry: an outcome's
    /// `status`, an approval's `answer`, a run's or incident's `event`, a pin's `state`.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        Some(match name {
            "id" => &mut self.id,
            "at" => &mut self.at,
            "kind" => &mut self.kind,
            "decision" => &mut self.decision,
            "count" => &mut self.count,
            "workspace" => &mut self.workspace,
            "agent" => &mut self.agent,
            "run" => &mut self.run,
            "user" => &mut self.user,
            "conversation" => &mut self.conversation,
            "server" => &mut self.server,
            "tool" => &mut self.tool,
            "model" => &mut self.model,
            "facts" => &mut self.facts,
            "operation" => &mut self.operation,
            "action" => &mut self.action,
            "code" => &mut self.code,
            "status" | "answer" | "event" | "state" => &mut self.status,
            "approval" => &mut self.approval,
            "approver" => &mut self.approver,
            "reserved" => &mut self.reserved,
            "charge" => &mut self.charge,
            "rule" => &mut self.rules.rule,
            "rules" => &mut self.rules.matched,
            "answers" => &mut self.rules.answers,
            "requirements" => &mut self.rules.requirements,
            _ => return None,
        })
    }

    fn fields(self) -> Result<Fields<'a>, EntryFault> {
        Ok(Fields {
            id: number(self.id, "id")?.ok_or(EntryFault::Missing("id"))?,
            at: word(self.at, "at")?.ok_or(EntryFault::Missing("at"))?,
            kind: word(self.kind, "kind")?.ok_or(EntryFault::Missing("kind"))?,
            decision: word(self.decision, "decision")?,
            count: number(self.count, "count")?.unwrap_or(1),
            workspace: text(self.workspace, "workspace")?,
            agent: text(self.agent, "agent")?,
            run: text(self.run, "run")?,
            user: text(self.user, "user")?,
            conversation: text(self.conversation, "conversation")?,
            server: text(self.server, "server")?,
            tool: text(self.tool, "tool")?,
            model: text(self.model, "model")?,
            // Facts of a tool may have a member of that name too, which means something else.
            named: if self.model.is_some() { text(self.facts.and_then(named), "facts")? } else { None },
            operation: text(self.operation, "operation")?,
            action: text(self.action, "action")?,
            code: text(self.code, "code")?,
            status: text(self.status, "status")?,
            rule: text(self.rules.rule, "rule")?,
            approval: text(self.approval, "approval")?,
            approver: text(self.approver, "approver")?,
            reserved: self.reserved,
            charge: self.charge,
            rules: self.rules,
        })
    }
}

fn text<'a>(value: Option<&'a str>, name: &'static str) -> Result<Text<'a>, EntryFault> {
    value.map(|value| string(value).ok_or(EntryFault::Member(name))).transpose()
}

fn word<T: std::str::FromStr>(value: Option<&str>, name: &'static str) -> Result<Option<T>, EntryFault> {
    let read = |text: Cow<'_, str>| text.parse().map_err(|_| EntryFault::Member(name));
    text(value, name)?.map(read).transpose()
}

/// What `facts` say of the model that was named.
fn named(facts: &str) -> Option<&str> {
    let members = Members::new(facts.as_bytes()).ok()?;
    members.map_while(Result::ok).find(|(name, _)| *name == "named").map(|(_, value)| value)
}

/// SQLite has 63 bits; more entries or refusals than that there cannot be.
fn number(value: Option<&str>, name: &'static str) -> Result<Option<u64>, EntryFault> {
    let read = |text: &str| text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    value.map(|value| read(value).ok_or(EntryFault::Member(name))).transpose()
}

// === impl Rules ===

impl Rules<'_> {
    /// The texts as written, into `key`; empty when no rule is named.
    pub(crate) fn key(&self, key: &mut String) {
        key.clear();
        for part in [self.rule, self.matched, self.answers, self.requirements].into_iter().flatten() {
            key.push_str(part);
        }
    }

    /// Every rule the entry names as one that counted: the one that decided, those that matched, those that ask for an
    /// approval, those that an approval answers. Each once, the one that decided first.
    pub(crate) fn names(&self) -> Result<Vec<SmolStr>, EntryFault> {
        let mut names: Vec<SmolStr> = Vec::new();
        let one = |value: &Value| value.as_str().map(SmolStr::new);
        let asked = |value: &Value| value.get("rule").and_then(one);
        for (value, name) in [(self.matched, "rules"), (self.answers, "answers")] {
            names.extend(elements(value, name, &one)?);
        }
        names.extend(elements(self.requirements, "requirements", &asked)?);
        if let Some(rule) = text(self.rule, "rule")? {
            names.insert(0, rule.into());
        }
        let mut unique = Vec::with_capacity(names.len());
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        Ok(unique)
    }
}

fn elements(
    value: Option<&str>,
    name: &'static str,
    one: &dyn Fn(&Value) -> Option<SmolStr>,
) -> Result<Vec<SmolStr>, EntryFault> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let read = || json(value)?.as_array()?.iter().map(one).collect::<Option<_>>();
    read().ok_or(EntryFault::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTENT: &str = r#"{"action":"act_1","at":"2026-11-21T09:30:00.000000Z","decision":"ALLOW","id":7,"kind":"intent","rule":"b","rules":["a","b"],"tool":"x\"y","v":1}"#;

    #[test]
    fn members_are_read_as_what_they_are() {
        let fields = Fields::read(INTENT.as_bytes()).unwrap();
        assert_eq!((fields.id, fields.kind, fields.decision), (7, EntryKind::Intent, Some(Decision::Allow)));
        assert_eq!((fields.count, fields.tool.as_deref()), (1, Some("x\"y")));
        assert_eq!(fields.at, "2026-11-21T09:30:00Z".parse().unwrap());
        assert_eq!(fields.rules.names().unwrap(), ["b", "a"]);
        assert!(fields.workspace.is_none());
    }

    #[test]
    fn what_cannot_be_indexed_is_named() {
        let cases = [
            (r#""id":7"#, r#""ie":7"#, EntryFault::Missing("id")),
            (r#""id":7"#, r#""id":-7"#, EntryFault::Member("id")),
            (r#""id":7"#, r#""id":9223372036854775808"#, EntryFault::Member("id")),
            ("intent", "intend", EntryFault::Member("kind")),
            ("ALLOW", "MAYBE", EntryFault::Member("decision")),
            ("2026-11-21", "2026-13-21", EntryFault::Member("at")),
            (r#""tool":"x\"y""#, r#""tool":1"#, EntryFault::Member("tool")),
            (r#""v":1"#, r#""id":7"#, EntryFault::Malformed),
        ];
        for (from, to, fault) in cases {
            let bad = INTENT.replacen(from, to, 1);
            assert_ne!(bad, INTENT, "{from} is not in the entry");
            assert_eq!(Fields::read(bad.as_bytes()).unwrap_err(), fault, "{from} -> {to}");
        }
        let bad = INTENT.replace(r#"["a","b"]"#, r#"["a",1]"#);
        let fields = Fields::read(bad.as_bytes()).unwrap();
        assert_eq!(fields.rules.names(), Err(EntryFault::Member("rules")));
    }
}
