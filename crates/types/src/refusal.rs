//! Why an action did not go through, in a form a program can act on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ringfence_json::Object;

use crate::{ActionId, ApprovalId, Decision, Level, Money, RuleName, Timestamp, Window};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)?) => {
        /// The reason of a refusal, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant),+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands in answers and in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for Code {
            type Err = UnknownCode;

            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownCode) }
            }
        }
    };
}

codes! {
    /// A rule, or the absence of one, forbids it.
    DeniedByPolicy = "denied_by_policy",
    /// The agent does not hold this tool, model or host.
    NotGranted = "not_granted",
    /// A person has to agree first.
    ApprovalRequired = "approval_required",
    /// A person said no.
    ApprovalDenied = "approval_denied",
    /// Nobody answered in time.
    ApprovalExpired = "approval_expired",
    /// Something above the action is cut off.
    Suspended = "suspended",
    /// A budget does not cover it.
    OverBudget = "over_budget",
    /// Too many in too short a time.
    RateLimited = "rate_limited",
    /// The upstream has failed too often.
    BreakerOpen = "breaker_open",
    /// The same again and again, without progress.
    Repetition = "repetition",
    /// The run's time is up.
    Deadline = "deadline",
    /// The input does not fit the schema, or cannot be read.
    InvalidInput = "invalid_input",
    /// The tool's definition is not the one that was pinned.
    DefinitionChanged = "definition_changed",
    /// The input or the result is over a size limit.
    TooLarge = "too_large",
    /// The node has too much to do.
    Overloaded = "overloaded",
    /// The upstream did not answer, or not with anything usable.
    UpstreamFailed = "upstream_failed",
    /// It may or may not have happened.
    OutcomeUnknown = "outcome_unknown",
    /// The log cannot take a record, so nothing may happen.
    LedgerUnavailable = "ledger_unavailable",
}

/// The text is not a code of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refusal code")]
pub struct UnknownCode;

/// An action that was not executed, or whose result is withheld: what an agent, a person and the log are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for programs.
    pub code: Code,
    /// The action.
    pub action: ActionId,
    /// The rule that decided, if one did.
    pub rule: Option<RuleName>,
    /// The reason, for the model and people: a sentence that also says what may be done instead.
    pub reason: String,
    /// The approval to wait for or that was refused.
    pub approval: Option<ApprovalId>,
    /// When trying again may help, in how long.
    pub retry_after: Option<Duration>,
    /// Where a budget does not cover it, by how much.
    pub shortfall: Option<Box<Shortfall>>,
}

/// What a budget has left, and what would have been needed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    /// Whose budget it is.
    pub level: Level,
    /// In what time it may be spent; `None` is once and for all.
    pub per: Option<Window>,
    /// When it is whole again.
    pub until: Option<Timestamp>,
    /// What is left of it and what would have been needed, in money, where that is what it bounds.
    pub usd: Option<(Money, Money)>,
    /// The same in tokens.
    pub tokens: Option<(u64, u64)>,
    /// The least output for which that would have been needed; `None` where nothing is written.
    pub max_output_tokens: Option<u64>,
}

// === impl Code ===

impl Code {
    /// What was decided, in the policy's words: waiting for a person is REQUIRE_APPROVAL, everything else DENY.
    pub fn decision(self) -> Decision {
        match self {
            Self::ApprovalRequired => Decision::RequireApproval,
            _ => Decision::Deny,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Refusal ===

impl Refusal {
    /// A refusal for this reason, and nothing more to say of it.
    pub fn new(code: Code, action: ActionId, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, action, rule: None, reason, approval: None, retry_after: None, shortfall: None }
    }

    /// The object that answers carry under `dev.ringfence/decision`: decision, code, rule, reason, action,
    /// approval, retry_after_ms and budget, the last four as far as there are any.
    pub fn to_object(&self) -> Object {
        let retry_after_ms = self.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Object::new()
            .with("decision", self.code.decision().as_str())
            .with("code", self.code.as_str())
            .with_some("rule", self.rule.as_ref())
            .with("reason", self.reason.as_str())
            .with("action", self.action.to_string())
            .with_some("approval", self.approval.map(|approval| approval.to_string()))
            .with_some("retry_after_ms", retry_after_ms)
            .with_some("budget", self.shortfall.as_deref().copied().map(Shortfall::to_object))
    }
}

// === impl Shortfall ===

impl Shortfall {
    fn to_object(self) -> Object {
        let of = |usd: Option<Money>, tokens: Option<u64>| {
            Object::new().with_some("usd_nanos", usd).with_some("tokens", tokens)
        };
        let left = of(self.usd.map(|usd| usd.0), self.tokens.map(|tokens| tokens.0));
        let needed = of(self.usd.map(|usd| usd.1), self.tokens.map(|tokens| tokens.1));
        Object::new()
            .with("level", self.level.as_str())
            .with_some("per", self.per.map(Window::as_str))
            .with_some("until", self.until.map(|until| until.to_string()))
            .with("left", left)
            .with("needed", needed.with_some("max_output_tokens", self.max_output_tokens))
    }
}
