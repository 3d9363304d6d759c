//! A rule, whatever language it was written in.

use std::time::Duration;

use ringfence_types::{Decision, Role, RuleName};

use crate::constraint::Constraints;

/// What follows when a rule applies.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub name: RuleName,
    pub decision: Decision,
    /// What the agent is told; a sentence, also where the rule gives none.
    pub reason: String,
    pub constraints: Constraints,
    /// What an approval takes; `Some` if and only if the decision is REQUIRE_APPROVAL.
    pub approval: Option<ApprovalTerms>,
    /// `mode: shadow`: recorded, and nothing else.
    pub shadow: bool,
}

/// What an approval takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApprovalTerms {
    /// Anyone with one of these roles; empty means anyone who may approve at all.
    pub approvers: Vec<Role>,
    /// How many different people.
    pub quorum: u32,
    /// How long it waits and can be used.
    pub expires: Duration,
}

// === impl Effect ===

impl Effect {
    /// What the agent is told when a rule gives no reason of its own.
    pub(crate) fn plain_reason(name: &RuleName, decision: Decision) -> String {
        match decision {
            Decision::Allow => format!("Rule `{name}` allows this."),
            Decision::AllowWithConstraints => format!("Rule `{name}` allows this within its limits."),
            Decision::RequireApproval => format!("Rule `{name}` asks for a person's approval."),
            Decision::Deny => format!("Rule `{name}` does not allow this."),
        }
    }
}

// === impl ApprovalTerms ===

impl Default for ApprovalTerms {
    fn default() -> Self {
        Self { approvers: Vec::new(), quorum: 1, expires: Duration::from_mins(15) }
    }
}
