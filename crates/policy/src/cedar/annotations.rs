//! What the annotations of a Cedar policy say.
//!
//! `@id("name")`, `@decision("allow" | "allow_with_constraints" | "require_approval")` on a permit, `@constraints("…")`
//! as YAML, `@reason("…")`, `@approvers("role, role")`, `@quorum("2")`, `@expires("15m")`, `@mode("shadow")`;
//! `@description("…")` is for readers. Any other is an error: a misspelt one would otherwise say nothing.

use std::collections::BTreeMap;

use cedar_policy::{Effect as CedarEffect, Policy};
use ringfence_document::{Diagnostic, Place, Report};
use ringfence_types::{Decision, Role, RuleName, parse_duration};

use crate::constraint::Constraints;
use crate::limits::{APPROVAL_EXPIRES_MAX, APPROVERS_MAX, QUORUM_MAX, REASON_BYTES_MAX};
use crate::rule::{ApprovalTerms, Effect};
use crate::text::{escaped, shown};

const KNOWN: [&str; 9] =
    ["approvers", "constraints", "decision", "description", "expires", "id", "mode", "quorum", "reason"];

/// The annotations of one policy, and where errors about them go.
pub(super) struct Annotations<'a, P: Fn(&str) -> Place> {
    values: BTreeMap<&'a str, &'a str>,
    effect: CedarEffect,
    /// The place of an annotation.
    place: P,
    report: &'a mut Report,
}

impl<'a, P: Fn(&str) -> Place> Annotations<'a, P> {
    pub(super) fn of(policy: &'a Policy, place: P, report: &'a mut Report) -> Self {
        Self { values: policy.annotations().collect(), effect: policy.effect(), place, report }
    }

    /// What the policy does when it applies; `fallback` names it if nothing else does. What is wrong is reported.
    pub(super) fn effect(mut self, fallback: &str) -> Option<Effect> {
        self.unknown();
        let name = self.name(fallback);
        let decision = self.decision();
        let constraints = self.constraints(decision);
        let approval = self.approval(decision);
        let reason = self.reason();
        let shadow = self.shadow();
        let name = name?;
        let reason = reason.unwrap_or_else(|| Effect::plain_reason(&name, decision));
        Some(Effect { name, decision, reason, constraints, approval, shadow })
    }

    fn error(&mut self, annotation: &str, message: String, hint: &str) {
        self.report.error_with_hint((self.place)(annotation), message, hint);
    }

    fn unknown(&mut self) {
        for name in self.values.keys().copied().collect::<Vec<_>>() {
            if !KNOWN.contains(&name) {
                let message = format!("unknown annotation {}", shown(&format!("@{name}"), 80));
                self.report.unknown((self.place)(name), message, name, &KNOWN);
            }
        }
    }

    fn name(&mut self, fallback: &str) -> Option<RuleName> {
        let name = RuleName::new(self.values.get("id").copied().unwrap_or(fallback));
        name.map_err(|error| self.error("id", format!("`@id`: {error}"), "give the rule a short name")).ok()
    }

    fn decision(&mut self) -> Decision {
        let written = self.values.get("decision").copied();
        let word = written.map(str::to_ascii_lowercase);
        let decision = match (self.effect, word.as_deref()) {
            (CedarEffect::Forbid, None | Some("deny")) => Some(Decision::Deny),
            (CedarEffect::Permit, None | Some("allow")) => Some(Decision::Allow),
            (CedarEffect::Permit, Some("allow_with_constraints")) => Some(Decision::AllowWithConstraints),
            (CedarEffect::Permit, Some("require_approval")) => Some(Decision::RequireApproval),
            _ => None,
        };
        let shown = shown(written.unwrap_or_default(), 40);
        decision.unwrap_or_else(|| {
            let (message, hint) = match self.effect {
                CedarEffect::Forbid => (
                    format!("a forbid denies: it cannot decide {shown}"),
                    "write a permit, or leave `@decision` out",
                ),
                CedarEffect::Permit => (
                    format!("`@decision` cannot be {shown}"),
                    "one of allow, allow_with_constraints, require_approval; to deny, write a forbid",
                ),
            };
            self.error("decision", message, hint);
            Decision::Deny
        })
    }

    fn constraints(&mut self, decision: Decision) -> Constraints {
        let Some(text) = self.values.get("constraints").copied() else {
            if decision == Decision::AllowWithConstraints {
                let hint =
                    "add `@constraints(\"…\")`, or write `@decision(\"allow\")` if nothing is to be limited";
                self.error("decision", "allow_with_constraints without `@constraints`".to_owned(), hint);
            }
            return Constraints::default();
        };
        let constraints = self.read_constraints(text);
        match decision {
            Decision::Deny => {
                self.error(
                    "constraints",
                    "constraints on a forbid".to_owned(),
                    "leave them out: all that matches is refused",
                );
            }
            Decision::Allow => {
                let hint = "write `@decision(\"allow_with_constraints\")`";
                self.error("constraints", "constraints on a permit that decides allow".to_owned(), hint);
            }
            Decision::AllowWithConstraints | Decision::RequireApproval => {}
        }
        constraints
    }

    fn read_constraints(&mut self, text: &str) -> Constraints {
        let place = (self.place)("constraints");
        let source = self.report.source().clone();
        // Places inside the annotation's text mean nothing in the file: all is reported at the annotation.
        let placed = |mut diagnostic: Diagnostic| {
            diagnostic.place = place;
            diagnostic.message = format!("`@constraints`: {}", diagnostic.message);
            diagnostic
        };
        let mut inner = Report::new(source.clone());
        let constraints = match ringfence_document::parse(&source, text) {
            Ok(node) => Constraints::read(&node, &mut inner),
            Err(errors) => {
                for error in errors {
                    inner.push(error);
                }
                Constraints::default()
            }
        };
        for diagnostic in inner.into_diagnostics() {
            self.report.push(placed(diagnostic));
        }
        constraints
    }

    fn approval(&mut self, decision: Decision) -> Option<ApprovalTerms> {
        let mut terms = ApprovalTerms::default();
        for (annotation, text) in
            ["approvers", "quorum", "expires"].map(|name| (name, self.values.get(name).copied()))
        {
            let Some(text) = text else { continue };
            if decision != Decision::RequireApproval {
                let message = format!("`@{annotation}` says nothing here");
                self.error(annotation, message, "write `@decision(\"require_approval\")`, or leave it out");
                continue;
            }
            match annotation {
                "approvers" => terms.approvers = self.approvers(text),
                "quorum" => terms.quorum = self.quorum(text),
                _ => match parse_duration(text).map_err(|error| error.to_string()) {
                    Ok(expires) if expires <= APPROVAL_EXPIRES_MAX => terms.expires = expires,
                    Ok(_) => self.error("expires", "`@expires` can be at most 30d".to_owned(), "such as 15m"),
                    Err(error) => self.error("expires", format!("`@expires`: {error}"), "such as 15m"),
                },
            }
        }
        (decision == Decision::RequireApproval).then_some(terms)
    }

    fn approvers(&mut self, text: &str) -> Vec<Role> {
        let mut roles = Vec::new();
        for word in text.split(',').map(str::trim) {
            match Role::new(word) {
                Ok(role) => roles.push(role),
                Err(error) => {
                    let message = format!("`@approvers`: {} is not a role: {error}", shown(word, 40));
                    self.error("approvers", message, "write roles with commas between them");
                }
            }
        }
        if roles.len() > APPROVERS_MAX {
            self.error(
                "approvers",
                format!("`@approvers` can have at most {APPROVERS_MAX} roles"),
                "use one role for several people",
            );
        }
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    fn quorum(&mut self, text: &str) -> u32 {
        let quorum = text.parse::<u64>().ok().filter(|quorum| (1..=QUORUM_MAX).contains(quorum));
        if quorum.is_none() {
            self.error(
                "quorum",
                format!("`@quorum` must be a whole number from 1 to {QUORUM_MAX}"),
                "such as @quorum(\"2\")",
            );
        }
        quorum.and_then(|quorum| u32::try_from(quorum).ok()).unwrap_or(1)
    }

    fn reason(&mut self) -> Option<String> {
        let text = self.values.get("reason").copied()?;
        if text.trim().is_empty() || text.len() > REASON_BYTES_MAX {
            self.error(
                "reason",
                format!("`@reason` needs 1 to {REASON_BYTES_MAX} bytes"),
                "one or two sentences for the agent",
            );
            return None;
        }
        Some(text.trim().to_owned())
    }

    fn shadow(&mut self) -> bool {
        match self.values.get("mode").copied() {
            None | Some("enforce") => false,
            Some("shadow") => true,
            Some(other) => {
                let message = format!("`@mode` cannot be `{}`", escaped(other, 40));
                self.error("mode", message, "one of enforce, shadow");
                false
            }
        }
    }
}
