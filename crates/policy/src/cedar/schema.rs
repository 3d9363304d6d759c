//! The Cedar schema of what is known: what `*.cedar` files are checked against, and what authors' own tools can use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ringfence_types::Kind;
use smol_str::SmolStr;

use crate::schema::{Member, Shape};
use crate::{KnownTool, Vocabulary};

/// The schema, in Cedar's schema syntax (Cedar 4 language, "Schema syntax").
///
/// Entities and the match keys are always the same; every pinned tool is an action whose `context.input` has the
/// arguments that its schema types. Arguments of no single type are left out: Cedar has no type for them, and rules
/// may read them all the same.
pub fn cedar_schema(vocabulary: &Vocabulary) -> String {
    Described::of(vocabulary).text
}

/// The schema, and what could not be put into it.
pub(super) struct Described {
    pub(super) text: String,
    /// The names of members of `context.input`, at any depth, that have no type in the schema.
    pub(super) untyped: BTreeSet<SmolStr>,
    /// The actions about whose arguments nothing at all is known.
    pub(super) open: BTreeSet<String>,
}

impl Described {
    pub(super) fn of(vocabulary: &Vocabulary) -> Self {
        let mut described =
            Self { text: PRELUDE.to_owned(), untyped: BTreeSet::new(), open: BTreeSet::new() };
        let actions = by_action(vocabulary);
        for kind in Kind::ALL {
            // With tools known, their group stands for them alone, so that rules about it are checked against each.
            if *kind == Kind::ToolCall && !actions.is_empty() {
                described.text.push_str("action \"tool_call\";\n");
            } else {
                described.kind(*kind);
            }
        }
        for (action, tools) in actions {
            described.tool(vocabulary, &action, &tools);
        }
        described
    }

    fn kind(&mut self, kind: Kind) {
        let (resources, present): (&str, &[&str]) = match kind {
            Kind::ModelCall => ("Model", &["model"]),
            Kind::Egress => ("Host", &["host"]),
            Kind::ToolCall => ("Server, Workspace", &[]),
            Kind::Credential => ("Server, Host, Model, Workspace", &[]),
            Kind::Spawn => ("Workspace", &[]),
        };
        self.open.insert(kind.as_str().to_owned());
        self.action(kind.as_str(), None, resources, present, "{}");
    }

    fn tool(&mut self, vocabulary: &Vocabulary, action: &str, tools: &[&KnownTool]) {
        let mut present = vec!["server", "tool", "action"];
        let has_capability = |tool: &&KnownTool| {
            vocabulary.server(&tool.workspace, &tool.server).is_some_and(|server| server.capability.is_some())
        };
        if tools.iter().all(has_capability) {
            present.push("capability");
        }
        if tools.iter().all(|tool| tool.risk.is_some()) {
            present.push("risk");
        }
        let mut shapes =
            tools.iter().map(|tool| tool.definition.as_ref().map(|definition| definition.input.shape()));
        let first = shapes.next().flatten();
        // One name with different definitions in several workspaces: nothing holds of all of them.
        let shape = first.filter(|first| shapes.all(|other| other == Some(*first)));
        let input = if let Some(Shape::Members(members)) = shape {
            self.record(members, 1)
        } else {
            self.open.insert(action.to_owned());
            "{}".to_owned()
        };
        self.action(action, Some("tool_call"), "Server", &present, &input);
    }

    fn action(&mut self, name: &str, group: Option<&str>, resources: &str, present: &[&str], input: &str) {
        let group = group.map(|group| format!(" in [{}]", quoted(group))).unwrap_or_default();
        let mut keys = String::new();
        for key in OPTIONAL {
            let mark = if present.contains(&key) { "" } else { "?" };
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(keys, "    {}{mark}: String,", quoted(key));
        }
        let _ = write!(
            self.text,
            "action {}{group} appliesTo {{\n  principal: [Agent],\n  resource: [{resources}],\n  context: {{\n{ALWAYS}{keys}    \
             \"input\": {input},\n  }},\n}};\n",
            quoted(name)
        );
    }

    fn record(&mut self, members: &[Member], level: usize) -> String {
        let indent = "  ".repeat(level + 2);
        let mut text = "{\n".to_owned();
        for member in members {
            match self.typed(&member.shape, level) {
                Some(typed) => {
                    let mark = if member.required { "" } else { "?" };
                    let _ = writeln!(text, "{indent}{}{mark}: {typed},", quoted(&member.name));
                }
                None => {
                    self.untyped.insert(member.name.clone());
                }
            }
        }
        let _ = write!(text, "{}}}", "  ".repeat(level + 1));
        text
    }

    fn typed(&mut self, shape: &Shape, level: usize) -> Option<String> {
        Some(match shape {
            Shape::Text => "String".to_owned(),
            Shape::Flag => "Bool".to_owned(),
            Shape::Whole => "Long".to_owned(),
            Shape::Number => "decimal".to_owned(),
            Shape::List(element) => format!("Set<{}>", self.typed(element, level)?),
            Shape::Members(members) => self.record(members, level + 1),
            Shape::Unknown => return None,
        })
    }
}

/// What is the same for everybody.
const PRELUDE: &str = "\
entity Workspace;
entity Agent in [Workspace];
entity Server;
entity Model;
entity Host;
// A number of an agent that is beyond what Cedar can hold; it compares with nothing.
entity Unrepresentable;
";

/// Match keys that every action has.
const ALWAYS: &str = "    \
    \"kind\": String,
    \"organization\": String,
    \"workspace\": String,
    \"environment\": String,
    \"agent\": String,
    \"action_type\": String,
    \"role\": Set<String>,
    \"labels\": Set<String>,
";

/// Match keys that an action may lack.
const OPTIONAL: [&str; 8] = ["user", "server", "tool", "model", "host", "capability", "action", "risk"];

/// Tools by their action.
fn by_action(vocabulary: &Vocabulary) -> BTreeMap<String, Vec<&KnownTool>> {
    let mut actions: BTreeMap<String, Vec<&KnownTool>> = BTreeMap::new();
    for tool in &vocabulary.tools {
        actions.entry(format!("{}/{}", tool.server, tool.name)).or_default().push(tool);
    }
    actions
}

/// A name as Cedar writes a string. Names of tools and arguments come from strangers.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}
