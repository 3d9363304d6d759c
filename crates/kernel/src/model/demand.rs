//! What an agent asks of a model, before anything was decided.

use std::sync::Arc;

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_types::{ActionId, CacheWrite, ConversationName, Digest, ModelName, Worst};
use smol_str::SmolStr;

use crate::Run;

/// One model call as an agent asks for it.
#[derive(Debug, Clone)]
pub struct ModelProposal {
    /// Whose.
    pub run: Arc<Run>,
    /// What.
    pub call: ModelCall,
}

/// What is asked of a model.
#[derive(Clone)]
pub struct ModelCall {
    /// Which, by its name in the configuration.
    pub model: ModelName,
    /// The name by which the agent asked for it, where a route or a failover led from there to `model`.
    pub named: Option<ModelName>,
    /// `chat`, `messages`, …
    pub operation: SmolStr,
    /// The request as the agent sent it: JSON, already read strictly.
    pub request: Bytes,
    /// What rules see of it as the arguments. [`MAX_OUTPUT`] and [`ANSWERS`] are put there by the kernel.
    pub view: Object,
    /// What it may come to.
    pub demand: Demand,
    /// What guards against loops look at; `None` for what cannot be part of one, an embedding, say.
    pub trail: Option<Trail>,
    /// The conversation it is part of, if the run's token names none.
    pub conversation: Option<ConversationName>,
    /// The action in whose place this one is made.
    pub instead_of: Option<ActionId>,
    /// Why this model and not the one that was named; for the record.
    pub why: Option<SmolStr>,
    /// It is answered with what was kept of an earlier one, and nothing goes out: nothing is set aside and nothing booked.
    pub cached: bool,
}

/// What a model call may come to at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// Tokens read.
    pub input: u64,
    /// Tokens written by each answer, as the agent or the configuration limits them; `None` where nothing is written.
    pub output: Option<u64>,
    /// Tokens that each answer may cost beyond that, whatever its limit.
    pub extra: u64,
    /// How many answers, at least 1.
    pub answers: u64,
    /// Whether it asks the provider to write into its cache.
    pub writes_cache: CacheWrite,
    /// The service tier it asks for.
    pub tier: Option<SmolStr>,
    /// How often tools that the provider hosts are used, at most.
    pub hosted: Vec<(SmolStr, u64)>,
}

/// What has happened in the conversation that a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Of how the conversation begins: requests with the same one belong together.
    pub root: Digest,
    /// The last completed tool steps, in order.
    pub steps: Vec<TrailStep>,
    /// How many results of tools there are.
    pub results: u64,
    /// How many messages of the user there are.
    pub users: u64,
    /// How many messages there are.
    pub messages: u64,
    /// Of the last message of the user.
    pub last_user: Digest,
}

/// One call of a tool and its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailStep {
    /// Of the tool's name and the arguments.
    pub call: Digest,
    /// Of the result.
    pub result: Digest,
    /// Whether the tool said that it failed.
    pub failed: bool,
}

/// The argument under which rules see the output limit.
pub const MAX_OUTPUT: &str = "max_output_tokens";

/// The argument under which rules see how many answers are asked for.
pub const ANSWERS: &str = "n";

/// What an agent is told whose call a rule constrains in another way.
pub const NOT_APPLICABLE: &str = "A rule constrains this call in a way that cannot be applied to it: only max_output_tokens and n can be lowered.";

/// Whether what rules left of a model call's arguments can be applied to a request: [`MAX_OUTPUT`] and [`ANSWERS`] may be
/// lowered, and nothing else can be changed.
pub fn is_applicable(asked: &Object, left: &Object) -> bool {
    Lowered::of(asked, left).is_some()
}

/// What rules made less.
#[derive(Debug, Default)]
struct Lowered {
    output: Option<u64>,
    answers: Option<u64>,
}

// === impl Lowered ===

impl Lowered {
    /// `None` when something was changed that cannot be.
    fn of(asked: &Object, left: &Object) -> Option<Self> {
        if left.len() != asked.len() {
            return None;
        }
        let mut lowered = Self::default();
        for (name, value) in left.iter().filter(|(name, value)| asked.get(name) != Some(*value)) {
            let (given, now) = (asked.get(name).and_then(Value::as_u64)?, value.as_u64()?);
            if now > given || now == 0 {
                return None;
            }
            match name.as_str() {
                MAX_OUTPUT => lowered.output = Some(now),
                ANSWERS => lowered.answers = Some(now),
                _ => return None,
            }
        }
        Some(lowered)
    }
}

// === impl ModelCall ===

impl ModelCall {
    /// What rules see as the arguments.
    pub(crate) fn arguments(&self) -> Object {
        self.view.clone().with_some(MAX_OUTPUT, self.demand.output).with(ANSWERS, self.demand.answers)
    }

    /// The same call within what the rules left of the arguments that [`ModelCall::arguments`] gave; `None` when they
    /// changed something that cannot be applied to a request.
    pub(crate) fn with_arguments(&self, arguments: &Object) -> Option<Demand> {
        let lowered = Lowered::of(&self.arguments(), arguments)?;
        let mut demand = self.demand.clone();
        demand.output = lowered.output.or(demand.output);
        demand.answers = lowered.answers.unwrap_or(demand.answers);
        Some(demand)
    }
}

impl std::fmt::Debug for ModelCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelCall")
            .field("model", &self.model)
            .field("operation", &self.operation)
            .field("request_bytes", &self.request.len())
            .finish_non_exhaustive()
    }
}

// === impl Demand ===

impl Demand {
    /// The worst of it, if each answer may have so many tokens.
    pub(crate) fn worst(&self, output: u64) -> Worst {
        Worst {
            input: self.input,
            output: output.saturating_add(self.extra).saturating_mul(self.answers),
            writes_cache: self.writes_cache,
            tier: self.tier.clone(),
            hosted: self.hosted.clone(),
        }
    }

    /// Tokens in all, if each answer may have so many.
    pub(crate) fn tokens(&self, output: u64) -> u64 {
        self.input.saturating_add(output.saturating_add(self.extra).saturating_mul(self.answers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> ModelCall {
        ModelCall {
            model: ModelName::new("smart").unwrap(),
            named: None,
            operation: "chat".into(),
            request: Bytes::from_static(b"{}"),
            view: Object::new().with("stream", true),
            demand: Demand { input: 10, output: Some(100), answers: 2, ..Demand::default() },
            trail: None,
            conversation: None,
            instead_of: None,
            why: None,
            cached: false,
        }
    }

    #[test]
    fn rules_can_lower_the_output_and_nothing_else() {
        let call = call();
        let with = |name: &str, value: Value| call.with_arguments(&call.arguments().with(name, value));
        assert_eq!(call.with_arguments(&call.arguments()), Some(call.demand.clone()));
        let lowered = with(MAX_OUTPUT, 50_u64.into()).unwrap();
        assert_eq!((lowered.output, lowered.worst(50).output), (Some(50), 100));
        assert_eq!(with(ANSWERS, 1_u64.into()).unwrap().answers, 1);
        for (name, value) in [
            (MAX_OUTPUT, Value::from(101_u64)),
            (MAX_OUTPUT, 0_u64.into()),
            (MAX_OUTPUT, "50".into()),
            ("stream", false.into()),
            ("more", 1_u64.into()),
        ] {
            assert_eq!(with(name, value), None, "{name}");
        }
    }
}
