//! Constraints that fit no argument of a tool they will meet.

use ringfence_document::{Diagnostic, nearest};

use super::Origin;
use crate::constraint::ArgumentConstraint;
use crate::key::Key;
use crate::set::{Rule, can_match};
use crate::{InputSchema, KnownTool, Vocabulary};

/// Tools that one warning names.
const TOOLS_SHOWN_MAX: usize = 3;

/// Warns of every constraint that will refuse all calls of a known tool.
pub(super) fn check(rule: &Rule, origin: &Origin, vocabulary: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let is_about_tools = rule.matcher.on(Key::Model).is_none() && rule.matcher.on(Key::Host).is_none();
    if rule.effect.constraints.arguments.is_empty() || !is_about_tools {
        return;
    }
    let met: Vec<(&KnownTool, &InputSchema)> = vocabulary
        .tools
        .iter()
        .filter(|tool| can_match(&rule.matcher, tool, vocabulary))
        .filter_map(|tool| Some((tool, &*tool.definition.as_ref()?.input)))
        .collect();
    for constraint in &rule.effect.constraints.arguments {
        let unfit: Vec<_> = met.iter().filter(|(_, schema)| fits_nothing(constraint, schema)).collect();
        if let Some((_, schema)) = unfit.first() {
            let tools: Vec<String> = unfit
                .iter()
                .take(TOOLS_SHOWN_MAX)
                .map(|(tool, _)| format!("{}/{}", tool.server, tool.name))
                .collect();
            let more = unfit.len() - tools.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!(
                "`{}` fits no argument of {}{more}: every call is refused",
                constraint.written,
                tools.join(", ")
            );
            let diagnostic = Diagnostic::warning(origin.source.clone(), constraint.place, message);
            found.push(match suggestion(constraint, schema) {
                Some(near) => diagnostic.with_hint(format!("there is an argument `{near}`")),
                None => diagnostic,
            });
        }
    }
}

fn fits_nothing(constraint: &ArgumentConstraint, schema: &InputSchema) -> bool {
    !constraint.names.are_declared(schema)
}

fn suggestion(constraint: &ArgumentConstraint, schema: &InputSchema) -> Option<String> {
    let wanted = constraint.names.likeliest()?.to_string();
    nearest(&wanted, schema.arguments()).map(ToOwned::to_owned)
}
