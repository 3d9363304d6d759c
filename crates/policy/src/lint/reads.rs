//! Kinds of action that nothing allows.

use ringfence_document::{Diagnostic, Place};
use ringfence_types::{ActionType, Decision, Kind};

use super::{Origin, permits};
use crate::key::Key;
use crate::set::Rule;
use crate::{PolicySet, Vocabulary};

/// Words for actions that change something, as people name them: a rule that names only such is not about reads.
const CHANGING: [&str; 32] = [
    "add", "apply", "cancel", "commit", "copy", "create", "delete", "deploy", "drop", "edit", "execute",
    "insert", "kill", "merge", "move", "pay", "post", "publish", "push", "put", "remove", "rename",
    "restart", "rollback", "scale", "send", "set", "start", "stop", "update", "upload", "write",
];

/// Says so if no rule lets anybody read.
pub(super) fn no_reads(set: &PolicySet, origins: &[Origin], vocabulary: &Vocabulary) -> Option<Diagnostic> {
    if set.default.decision != Decision::Deny || !set.cedar.rules().is_empty() {
        return None;
    }
    // Where there are models and no tools, nobody reads.
    let has_tools = !vocabulary.servers.is_empty() || vocabulary.models.is_empty();
    if !has_tools || set.rules.iter().any(|rule| permits(rule) && allows_reads(rule, vocabulary)) {
        return None;
    }
    let source = origins.first()?.source.clone();
    let hint = "if agents may look, add a rule with `match: { action_type: read }` and `decision: ALLOW`";
    let message = "no rule allows reads: every read is denied by default";
    Some(Diagnostic::warning(source, Place::WHOLE, message).with_hint(hint))
}

fn allows_reads(rule: &Rule, vocabulary: &Vocabulary) -> bool {
    let matcher = &rule.matcher;
    if !word_fits(rule, Key::Kind, Kind::ToolCall.as_str())
        || !word_fits(rule, Key::ActionType, ActionType::Read.as_str())
    {
        return false;
    }
    if matcher.on(Key::ActionType).is_some() {
        return true;
    }
    let mut reading = vocabulary.tools.iter().filter(|tool| tool.action_type == ActionType::Read).peekable();
    if reading.peek().is_some() {
        return reading.any(|tool| crate::set::can_match(matcher, tool, vocabulary));
    }
    let names = [Key::Action, Key::Tool].into_iter().filter_map(|key| matcher.on(key));
    let mut patterns = names.flat_map(|test| &test.patterns.written).peekable();
    patterns.peek().is_none() || patterns.any(|pattern| !sounds_changing(pattern))
}

/// Whether the first word of a name is one for changing something.
fn sounds_changing(name: &str) -> bool {
    let first = name.split(|character: char| !character.is_ascii_alphabetic()).next().unwrap_or_default();
    CHANGING.contains(&first.to_ascii_lowercase().as_str())
}

fn word_fits(rule: &Rule, key: Key, word: &str) -> bool {
    rule.matcher.on(key).is_none_or(|test| test.patterns.matches(word))
}

/// Says so if there are models and no rule lets anybody call one.
pub(super) fn no_model_calls(
    set: &PolicySet,
    origins: &[Origin],
    vocabulary: &Vocabulary,
) -> Option<Diagnostic> {
    if vocabulary.models.is_empty() || allows_some(set, Kind::ModelCall, &OF_TOOLS) {
        return None;
    }
    let source = origins.first()?.source.clone();
    let hint = "if agents may use their models, add a rule with `match: { kind: model_call }`";
    let message = "no rule allows model calls: every one is denied by default";
    Some(Diagnostic::warning(source, Place::WHOLE, message).with_hint(hint))
}

/// Says so if there are agents whose runs may start runs, and no rule lets any of them.
pub(super) fn no_spawns(set: &PolicySet, origins: &[Origin], vocabulary: &Vocabulary) -> Option<Diagnostic> {
    let others = [Key::Server, Key::Tool, Key::Capability, Key::Model, Key::Host];
    let may_start = vocabulary.agents.iter().any(|agent| agent.spawns);
    if !may_start || allows_some(set, Kind::Spawn, &others) {
        return None;
    }
    let source = origins.first()?.source.clone();
    let hint = "if runs may start those that `spawn` names, add a rule with `match: { kind: spawn }`";
    let message = "no rule allows a run to start another: every start is denied by default";
    Some(Diagnostic::warning(source, Place::WHOLE, message).with_hint(hint))
}

/// What only tools have.
const OF_TOOLS: [Key; 3] = [Key::Server, Key::Tool, Key::Capability];

/// Whether a rule, or the default, may allow something of this kind, which has none of `others`.
fn allows_some(set: &PolicySet, kind: Kind, others: &[Key]) -> bool {
    let allows = |rule: &Rule| {
        permits(rule)
            && word_fits(rule, Key::Kind, kind.as_str())
            && others.iter().all(|key| rule.matcher.on(*key).is_none())
    };
    let is_open = set.default.decision != Decision::Deny || !set.cedar.rules().is_empty();
    is_open || set.rules.iter().any(allows)
}
