//! `when:` of YAML rules, compiled.

use ringfence_document::{Diagnostic, Place};
use ringfence_json::Object;
use ringfence_types::Kind;
use smol_str::SmolStr;

use crate::cedar::{Checker, Condition, Finding};
use crate::key::{Key, Subject};
use crate::matcher::Matcher;
use crate::{KnownTool, Request, Vocabulary};

/// Keys whose values are known of a tool before it is called.
const KNOWN_OF_TOOLS: [Key; 9] = [
    Key::Workspace,
    Key::Kind,
    Key::Server,
    Key::Tool,
    Key::Capability,
    Key::Action,
    Key::ActionType,
    Key::Risk,
    Key::Labels,
];

/// Compiles the `when` of a rule, checked for the tools that its `match` leaves. What is to be said goes into
/// `diagnostics`; `None` if it cannot be used.
pub(super) fn compile(
    (source, text, place): (&SmolStr, &str, Place),
    matcher: &Matcher,
    (vocabulary, checker): (&Vocabulary, Option<&Checker>),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Condition> {
    let actions = if checker.is_some() { actions(matcher, vocabulary) } else { Vec::new() };
    let (condition, findings) = match Condition::compile(text, checker, &actions) {
        Ok((condition, findings)) => (Some(condition), findings),
        Err(findings) => (None, findings),
    };
    diagnostics.extend(findings.into_iter().map(|finding| diagnostic(source, text, place, finding)));
    condition
}

fn diagnostic(source: &SmolStr, text: &str, place: Place, finding: Finding) -> Diagnostic {
    let message = format!("`when`: {}", finding.message);
    let place = within(text, place, finding.offset);
    let diagnostic = if finding.is_error {
        Diagnostic::error(source.clone(), place, message)
    } else {
        Diagnostic::warning(source.clone(), place, message)
    };
    match finding.hint {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic,
    }
}

/// The place of a character of the text: exact where the text stands on one line as it is or in quotes, else its
/// beginning.
fn within(text: &str, place: Place, offset: u32) -> Place {
    match u32::try_from(text.chars().count()) {
        _ if text.contains('\n') => place,
        Ok(length) if length == place.width => place.shifted(offset),
        Ok(length) if length + 2 == place.width => place.shifted(offset + 1),
        _ => place,
    }
}

/// The actions that a rule can be about, as Cedar knows them: known tools, and kinds that `match` names.
fn actions(matcher: &Matcher, vocabulary: &Vocabulary) -> Vec<String> {
    let tools = vocabulary.tools.iter().filter(|tool| can_match(matcher, tool, vocabulary));
    let mut actions: Vec<String> = tools.map(|tool| format!("{}/{}", tool.server, tool.name)).collect();
    if let Some(kinds) = matcher.on(Key::Kind) {
        let others = Kind::ALL.iter().filter(|kind| **kind != Kind::ToolCall).map(|kind| kind.as_str());
        actions.extend(others.filter(|kind| kinds.patterns.matches(kind)).map(str::to_owned));
    }
    actions.sort_unstable();
    actions.dedup();
    actions
}

/// Whether a rule can be about a tool, by what is known of the tool before it is called.
pub(crate) fn can_match(matcher: &Matcher, tool: &KnownTool, vocabulary: &Vocabulary) -> bool {
    let arguments = Object::new();
    let server = vocabulary.server(&tool.workspace, &tool.server);
    let request = Request {
        kind: Kind::ToolCall,
        organization: "",
        workspace: tool.workspace.as_str(),
        environment: "",
        agent: "",
        user: None,
        roles: &[],
        server: Some(tool.server.as_str()),
        tool: Some(tool.name.as_str()),
        model: None,
        host: None,
        capability: server.and_then(|server| server.capability.as_deref()),
        action: Some(&tool.action),
        action_type: tool.action_type,
        risk: tool.risk.as_deref(),
        labels: &tool.labels,
        arguments: &arguments,
        schema: None,
    };
    let subject = Subject::new(&request);
    matcher.tests.iter().filter(|test| KNOWN_OF_TOOLS.contains(&test.key)).all(|test| test.matches(&subject))
}
