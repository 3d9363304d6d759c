//! Checks policies against the schema of what is known.

use std::collections::{BTreeSet, HashSet};
use std::mem::{Discriminant, discriminant};

use cedar_policy::{
    PolicyId, PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use ringfence_document::{Place, Report, nearest};
use smol_str::SmolStr;

use super::explain::{Lines, span};
use super::read::literal_place;
use super::reads::reads_input;
use super::schema::{Described, quoted};
use crate::Vocabulary;
use crate::text::{sentence, shown};

/// Length of what Cedar says, in characters.
const CHARS_MAX: usize = 400;

/// Knows the types and names that policies can use.
pub(crate) struct Checker {
    validator: Option<Validator>,
    untyped: BTreeSet<SmolStr>,
    open: BTreeSet<String>,
    names: Vec<(&'static str, BTreeSet<String>)>,
}

/// Something found by checking.
pub(super) struct Checked {
    pub(super) is_error: bool,
    /// Byte offset and length.
    pub(super) span: (usize, usize),
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

// === impl Checker ===

impl Checker {
    /// For what is known; `None` when nothing is.
    pub(crate) fn of(vocabulary: &Vocabulary) -> Option<Self> {
        if vocabulary.is_empty() {
            return None;
        }
        let described = Described::of(vocabulary);
        // A schema that Cedar cannot read would be a fault of ours; policies are then used unchecked, and a rule
        // whose types are wrong refuses when it is evaluated.
        let schema = Schema::from_cedarschema_str(&described.text).ok().map(|(schema, _)| schema);
        let agents = vocabulary.agents.iter().map(|agent| format!("{}/{}", agent.workspace, agent.name));
        let workspaces = vocabulary
            .agents
            .iter()
            .map(|agent| &agent.workspace)
            .chain(vocabulary.servers.iter().map(|server| &server.workspace))
            .map(ToString::to_string);
        let servers = vocabulary.servers.iter().map(|server| server.name.to_string());
        let models = vocabulary.models.iter().map(|model| model.name.to_string());
        let tools = vocabulary.tools.iter().map(|tool| format!("{}/{}", tool.server, tool.name));
        let kinds = ringfence_types::Kind::ALL.iter().map(|kind| kind.as_str().to_owned());
        let names = vec![
            ("Action", tools.chain(kinds).collect()),
            ("Agent", agents.collect()),
            ("Workspace", workspaces.collect()),
            ("Server", servers.collect()),
            ("Model", models.collect()),
        ];
        Some(Self {
            validator: schema.map(Validator::new),
            untyped: described.untyped,
            open: described.open,
            names,
        })
    }

    /// Whether the schema could be made.
    #[cfg(test)]
    pub(crate) fn is_whole(&self) -> bool {
        self.validator.is_some()
    }

    pub(super) fn check_file(&self, set: &PolicySet, lines: &Lines<'_>, report: &mut Report) {
        self.check(set, &mut |checked| {
            let place = match checked.span {
                (_, 0) => Place::WHOLE,
                (offset, length) => lines.place(offset, length),
            };
            match (checked.is_error, checked.hint) {
                (true, None) => report.error(place, checked.message),
                (true, Some(hint)) => report.error_with_hint(place, checked.message, hint),
                (false, None) => report.warning(place, checked.message),
                (false, Some(hint)) => report.warning_with_hint(place, checked.message, hint),
            }
        });
    }

    /// Checks all policies of a set.
    pub(super) fn check(&self, set: &PolicySet, found: &mut dyn FnMut(Checked)) {
        let unknown = self.names(set, found);
        let Some(validator) = &self.validator else { return };
        let result = validator.validate(set, ValidationMode::Strict);
        let mistaken: HashSet<&PolicyId> = result
            .validation_errors()
            .filter(|error| matches!(error, ValidationError::UnrecognizedEntityType(_)))
            .map(ValidationError::policy_id)
            .collect();
        let mut all: Vec<(Discriminant<ValidationError>, Checked)> = result
            .validation_errors()
            .filter(|error| !is_consequence(error, &mistaken, &unknown))
            .map(|error| (discriminant(error), self.error(error)))
            .collect();
        // The same place is looked at for every action it can be about; one of them is enough.
        all.sort_by(|(_, left), (_, right)| (left.span, &left.message).cmp(&(right.span, &right.message)));
        all.dedup_by(|(one, later), (other, first)| one == other && later.span == first.span);
        for (_, checked) in all {
            found(checked);
        }
        for warning in result.validation_warnings() {
            // Where names or arguments are not known, "impossible" may only mean "unknown".
            let guess = unknown.contains(&warning.policy_id().to_string())
                || set.policy(warning.policy_id()).is_none_or(reads_input);
            if !(guess && matches!(warning, ValidationWarning::ImpossiblePolicy(_))) {
                found(of(warning, &warning.to_string(), false));
            }
        }
    }

    /// Warns of entities that nobody knows; gives the ids of the policies that name them.
    fn names(&self, set: &PolicySet, found: &mut dyn FnMut(Checked)) -> HashSet<String> {
        let mut policies = HashSet::new();
        for policy in set.policies() {
            for literal in policy.entity_literals() {
                let of = literal.type_name().to_string();
                let Some((_, known)) = self.names.iter().find(|(name, _)| *name == of) else { continue };
                let id = literal.id().unescaped();
                if known.contains(id) || known.is_empty() {
                    continue;
                }
                policies.insert(policy.id().to_string());
                let message = format!("there is no {} called {} here", word(&of), shown(id, 100));
                let hint = nearest(id, known.iter().map(String::as_str))
                    .map(|near| format!("did you mean {}?", shown(near, 100)));
                found(Checked { is_error: false, span: literal_place(policy, id), message, hint });
            }
        }
        policies
    }

    fn error(&self, error: &ValidationError) -> Checked {
        let mut checked = of(error, &error.to_string(), true);
        match error {
            ValidationError::UnsafeAttributeAccess(_) if self.is_untyped(&error.to_string()) => {
                checked.is_error = false;
                checked.message = String::from(
                    "the type of this argument is not known, so the rule cannot be checked here",
                );
                checked.hint = Some(
                    "if a call has something else there, the rule fails and refuses the call".to_owned(),
                );
            }
            // Cedar's own suggestion is one of the likeliest, and not always the same.
            ValidationError::UnrecognizedEntityType(_) => {
                checked.hint = Some("one of Agent, Workspace, Server, Model, Host".to_owned());
            }
            ValidationError::InvalidActionApplication(_) => {
                checked.message = String::from("no action has such a principal and resource");
                checked.hint = Some(
                    "principals are Agent; the resource of a tool is its Server, of model_call a Model, of egress a Host"
                        .to_owned(),
                );
            }
            _ => {}
        }
        checked
    }

    /// Whether an error is about an argument that may well exist. Cedar says
    /// "attribute `input.a.b` in context for Action::"server/tool" not found".
    fn is_untyped(&self, message: &str) -> bool {
        let attribute = message.split('`').find(|part| *part == "input" || part.starts_with("input."));
        let Some(path) = attribute else { return false };
        let about = |action: &String| message.contains(&format!("Action::{}", quoted(action)));
        path.split('.').any(|name| self.untyped.contains(name)) || self.open.iter().any(about)
    }
}

/// Whether an error only follows from another one, or has been said less harshly already: a tool that nobody knows
/// may be pinned later.
fn is_consequence(error: &ValidationError, mistaken: &HashSet<&PolicyId>, unknown: &HashSet<String>) -> bool {
    match error {
        ValidationError::UnrecognizedActionId(_) => true,
        ValidationError::InvalidActionApplication(_) => {
            mistaken.contains(error.policy_id()) || unknown.contains(&error.policy_id().to_string())
        }
        _ => false,
    }
}

fn of(error: &dyn miette::Diagnostic, text: &str, is_error: bool) -> Checked {
    // Cedar begins with "for policy `policy0`, ", which means nothing to a reader of the file.
    let message = text
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "))
        .map_or(text, |(_, rest)| rest);
    Checked {
        is_error,
        span: span(error).unwrap_or((0, 0)),
        message: sentence(message, CHARS_MAX),
        hint: error.help().map(|help| sentence(&help.to_string(), CHARS_MAX)),
    }
}

fn word(of: &str) -> String {
    if of == "Action" { "tool or action".to_owned() } else { of.to_ascii_lowercase() }
}
