//! Why a proposal goes no further.

use std::time::Duration;

use ringfence_json::Object;
use ringfence_policy::Verdict;
use ringfence_types::{ActionId, ApprovalId, Code, Refusal, RuleName, Shortfall};

/// Why a proposal goes no further.
#[derive(Debug)]
pub(crate) struct Objection {
    pub code: Code,
    pub rule: Option<RuleName>,
    pub reason: String,
    /// What the rules said, as far as they were asked.
    pub verdict: Option<Box<Verdict>>,
    pub facts: Object,
    pub approval: Option<ApprovalId>,
    /// When trying again may help, in how long.
    pub retry_after: Option<Duration>,
    /// Where a budget does not cover it, by how much.
    pub shortfall: Option<Box<Shortfall>>,
}

// === impl Objection ===

impl Objection {
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self {
            code,
            rule: None,
            reason: reason.into(),
            verdict: None,
            facts: Object::new(),
            approval: None,
            retry_after: None,
            shortfall: None,
        }
    }

    /// The log cannot take a record, so nothing may happen.
    pub(crate) fn unavailable() -> Self {
        let reason = "The log cannot take a record at present, so nothing may be executed. Try again later.";
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(Code::LedgerUnavailable, reason) }
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    pub(crate) fn short_of(self, shortfall: Shortfall) -> Self {
        Self { shortfall: Some(Box::new(shortfall)), ..self }
    }

    pub(crate) fn rule(self, rule: Option<RuleName>) -> Self {
        Self { rule, ..self }
    }

    /// What the agent is told.
    pub(crate) fn into_refusal(self, action: ActionId) -> Refusal {
        Refusal {
            code: self.code,
            action,
            rule: self.rule,
            reason: self.reason,
            approval: self.approval,
            retry_after: self.retry_after,
            shortfall: self.shortfall,
        }
    }
}
