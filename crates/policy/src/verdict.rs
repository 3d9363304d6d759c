//! What follows from the rules.

use std::time::Duration;

use ringfence_json::{Object, Value};
use ringfence_types::{Code, Decision, Rate, Role, RuleName};

/// What the rules say of one request.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The strictest decision of all rules that matched, or the file's default. `Deny` when `misfit` is set.
    pub decision: Decision,
    /// The rule that decided; `None` when it was the default.
    pub rule: Option<RuleName>,
    /// What the agent is told.
    pub reason: String,
    /// Every enforced rule that matched, in the order of the files.
    pub matched: Vec<Determining>,
    /// The arguments after narrowing, if a constraint changed any.
    pub arguments: Option<Object>,
    /// What was changed, and by which rule.
    pub narrowed: Vec<Narrowing>,
    /// The constraint, or the failing rule, that refuses the call whatever else was decided.
    pub misfit: Option<Misfit>,
    /// What holds for the execution.
    pub obligations: Obligations,
    /// One for each approval rule that matched; all must be satisfied.
    pub approvals: Vec<Approval>,
    /// What rules in `mode: shadow` would have decided.
    pub shadowed: Vec<Shadowed>,
}

impl Verdict {
    /// Why the call is refused; `None` when it is not. A rule that says DENY comes before a constraint that refuses.
    pub fn refused(&self) -> Option<Code> {
        let denied = self.matched.iter().any(|matched| matched.decision == Decision::Deny);
        let misfit = self.misfit.as_ref().filter(|_| !denied);
        (self.decision == Decision::Deny).then(|| misfit.map_or(Code::DeniedByPolicy, |misfit| misfit.code))
    }
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Determining {
    /// Which.
    pub rule: RuleName,
    /// What it says.
    pub decision: Decision,
}

/// One argument that was limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowing {
    /// Where: a JSON Pointer (RFC 6901) into the arguments.
    pub pointer: String,
    /// What the agent asked for.
    pub from: Value,
    /// What is sent.
    pub to: Value,
    /// The rule that did it.
    pub rule: RuleName,
}

/// Why a call cannot be brought within the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// `denied_by_policy`, or `invalid_input` when an argument is of the wrong type.
    pub code: Code,
    /// The rule.
    pub rule: RuleName,
    /// A sentence for the agent: which argument, what is allowed.
    pub reason: String,
}

/// What an executor has to keep to: the strictest of all rules that matched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obligations {
    /// How long the upstream may take.
    pub timeout: Option<Duration>,
    /// How large the result may be, in bytes.
    pub max_result_bytes: Option<u64>,
    /// How often the rule may let calls through; each rule counts by itself.
    pub rates: Vec<RateLimit>,
    /// What is taken out of results: JSON Pointers (RFC 6901).
    pub redact: Vec<String>,
}

/// A rate that a rule sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// The rule.
    pub rule: RuleName,
    /// How many in how long.
    pub rate: Rate,
}

/// What one approval rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The rule.
    pub rule: RuleName,
    /// Who may approve: anyone with one of these roles; empty means anyone who may approve at all.
    pub approvers: Vec<Role>,
    /// How many different people must.
    pub quorum: u32,
    /// How long the request waits, and how long an approval can be used.
    pub expires: Duration,
}

/// A rule in `mode: shadow` that matched: it changes nothing and is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// Which.
    pub rule: RuleName,
    /// What it would have said.
    pub decision: Decision,
}
