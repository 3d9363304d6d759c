//! `when:` of a YAML rule: one Cedar expression.

use std::fmt;

use cedar_policy::{Expression, Policy, PolicySet};

use super::explain;
use super::facts::Facts;
use super::reads::reads_input;
use super::validate::Checker;
use crate::limits::WHEN_BYTES_MAX;
use crate::text::{sentence, shown};

/// A compiled condition.
#[derive(Clone)]
pub(crate) struct Condition {
    expression: Expression,
    reads_input: bool,
}

/// Something to say about the text of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether the condition cannot be used.
    pub is_error: bool,
    /// Where, in characters from the beginning of the text.
    pub offset: u32,
    /// What.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

// === impl Condition ===

impl Condition {
    /// Compiles an expression. With a checker, types are checked for the given actions (`server/tool`, or a kind), which
    /// should be those that the rule's `match` leaves; with none of them nothing is checked.
    ///
    /// # Errors
    /// All that is wrong. Otherwise the condition comes with what its author should know.
    pub(crate) fn compile(
        text: &str,
        checker: Option<&Checker>,
        actions: &[String],
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        if text.len() > WHEN_BYTES_MAX {
            return Err(vec![finding(0, format!("`when` is longer than {WHEN_BYTES_MAX} bytes"))]);
        }
        // By itself first: `true } unless { false` is a fine end of a policy, and no expression.
        text.parse::<Expression>().map_err(|errors| parse_findings(&errors, text, 0))?;
        let scope: Vec<_> =
            actions.iter().map(|action| format!("Action::\"{}\"", action.escape_debug())).collect();
        let scope =
            if scope.is_empty() { "action".to_owned() } else { format!("action in [{}]", scope.join(", ")) };
        let before = format!("permit (principal, {scope}, resource) when {{\n");
        // The line break closes a comment at the end of the text.
        let whole = format!("{before}{text}\n}};");
        let policy: Policy = whole.parse().map_err(|errors| parse_findings(&errors, text, before.len()))?;
        let findings = match checker {
            Some(checker) if !actions.is_empty() => types(checker, &policy, text, before.len()),
            _ => Vec::new(),
        };
        if findings.iter().any(|finding| finding.is_error) {
            return Err(findings);
        }
        // Evaluated without the scope, which is only there for the types.
        let alone = format!("permit (principal, action, resource) when {{\n{text}\n}};");
        let alone: Policy = alone.parse().map_err(|errors| parse_findings(&errors, text, 0))?;
        let expression = Expression::from(alone.as_ref().condition());
        Ok((Self { expression, reads_input: reads_input(&alone) }, findings))
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why it could not be evaluated, as the end of a sentence; nothing of the arguments. The rule then refuses.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        facts.holds(&self.expression, self.reads_input)
    }

    /// Whether it can depend on the arguments. Says no only when that is certain.
    pub(crate) fn reads_input(&self) -> bool {
        self.reads_input
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.expression.to_string()).finish()
    }
}

fn finding(offset: u32, message: String) -> Finding {
    Finding { is_error: true, offset, message, hint: None }
}

fn parse_findings(errors: &cedar_policy::ParseErrors, text: &str, shift: usize) -> Vec<Finding> {
    errors
        .iter()
        .map(|error| {
            let offset = explain::span(error).map_or(0, |(offset, _)| offset.saturating_sub(shift));
            let hint = miette::Diagnostic::help(error).map(|help| sentence(&help.to_string(), 300));
            Finding { hint, ..finding(characters(text, offset), sentence(&error.to_string(), 300)) }
        })
        .collect()
}

fn types(checker: &Checker, policy: &Policy, text: &str, shift: usize) -> Vec<Finding> {
    let Ok(set) = PolicySet::from_policies([policy.clone()]) else {
        return vec![finding(0, format!("{} cannot be checked", shown(text, 80)))];
    };
    let mut findings = Vec::new();
    checker.check(&set, &mut |checked| {
        findings.push(Finding {
            is_error: checked.is_error,
            offset: characters(text, checked.span.0.saturating_sub(shift)),
            message: checked.message,
            hint: checked.hint,
        });
    });
    findings
}

/// Bytes to characters.
fn characters(text: &str, bytes: usize) -> u32 {
    let bytes = text.floor_char_boundary(bytes.min(text.len()));
    u32::try_from(text[..bytes].chars().count()).unwrap_or(u32::MAX)
}
