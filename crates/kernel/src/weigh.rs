//! The stateless part of an admission beside [`View`]: input and policy (steps 3 and 4).

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_policy::{Request, ToolDefinition, Verdict, lookalike};
use ringfence_types::{Code, Decision, Digest, Principal, ServerName};

use crate::ask::{Ask, What};
use crate::fold::Pinned;
use crate::model::NOT_APPLICABLE;
use crate::objection::Objection;
use crate::proposal::{CONTINUATION, digest_of};
use crate::text::bounded;
use crate::view::View;
use crate::{Call, Demand, EgressCall, ModelCall, Run, SpawnCall};

/// A proposal with all that follows from configuration and policy alone.
#[derive(Debug)]
pub(crate) struct Weighed {
    pub verdict: Verdict,
    /// What is sent.
    pub sent: Sent,
    /// Of the arguments that are sent.
    pub final_digest: Digest,
    /// What history conditions may read.
    pub facts: Object,
    pub definition: Option<Arc<ToolDefinition>>,
}

/// What goes out, as it was decided.
#[derive(Debug)]
pub(crate) enum Sent {
    /// To a tool server.
    Call(Call),
    /// To a model: the request within this.
    Model(Demand),
    /// To a host.
    Egress(EgressCall),
    /// To whoever starts runs.
    Spawn(Box<SpawnCall>),
}

// === impl Weighed ===

impl Weighed {
    /// What is kept of what goes out.
    pub(crate) fn recorded(&self) -> Vec<u8> {
        match &self.sent {
            Sent::Call(call) => call.recorded(&call.arguments()).to_canonical(),
            Sent::Model(_) | Sent::Egress(_) | Sent::Spawn(_) => {
                self.verdict.arguments.as_ref().map(Object::to_canonical).unwrap_or_default()
            }
        }
    }
}

// === impl View ===

impl View<'_> {
    /// Steps 3 and 4: is the input what the tool takes, and what do the rules say of it? `arguments` are the agent's,
    /// or those an approver made of them.
    pub(crate) fn weigh(
        &self,
        ask: &Ask,
        requested: Digest,
        pinned: Option<&Pinned>,
        arguments: &Object,
    ) -> Result<Weighed, Objection> {
        match &ask.what {
            What::Server { server, call } => self.weigh_call(&ask.run, server, call, pinned, arguments),
            What::Model(call) => self.weigh_model(&ask.run, call, requested, arguments),
            What::Egress(call) => self.weigh_egress(&ask.run, call, requested, arguments),
            What::Spawn(_) => self.weigh_spawn(&ask.run, requested, arguments),
        }
    }

    fn weigh_model(
        &self,
        run: &Run,
        call: &ModelCall,
        requested: Digest,
        arguments: &Object,
    ) -> Result<Weighed, Objection> {
        let request = self.model_request(run, call, arguments);
        let facts = facts(&request)
            .with_some("named", call.named.as_ref())
            .with_some("why", call.why.clone())
            .with_some("cached", call.cached.then_some(true));
        let verdict = self.workspace.policy.decide(&request);
        if let Some(objection) = refused_by(&verdict) {
            return Err(Objection { verdict: Some(Box::new(verdict)), facts, ..objection });
        }
        let narrowed = verdict.arguments.as_ref().unwrap_or(arguments);
        let Some(demand) = call.with_arguments(narrowed) else {
            let objection = Objection::new(Code::DeniedByPolicy, NOT_APPLICABLE).rule(verdict.rule.clone());
            return Err(Objection { verdict: Some(Box::new(verdict)), facts, ..objection });
        };
        let final_digest = match &verdict.arguments {
            None => requested,
            Some(narrowed) => Digest::of(&[requested.as_bytes(), &narrowed.to_canonical()[..]].concat()),
        };
        Ok(Weighed { final_digest, sent: Sent::Model(demand), facts, definition: None, verdict })
    }

    fn weigh_egress(
        &self,
        run: &Run,
        call: &EgressCall,
        requested: Digest,
        arguments: &Object,
    ) -> Result<Weighed, Objection> {
        let action = call.action();
        let request = self.egress_request(run, call, &action, arguments);
        let facts = facts(&request).with("protocol", call.protocol.as_str());
        let facts = facts.with_some("server", request.server);
        let mut verdict = self.workspace.policy.decide(&request);
        if matches!(run.principal(), Principal::Build(_)) {
            stated_by_the_operator(&mut verdict);
        }
        if let Some(objection) = refused_by(&verdict) {
            return Err(Objection { verdict: Some(Box::new(verdict)), facts, ..objection });
        }
        if verdict.arguments.as_ref().is_some_and(|narrowed| narrowed != arguments) {
            let reason = "A rule narrows this connection, and a connection cannot be narrowed: only allowed_ and denied_ constraints fit one.";
            let objection = Objection::new(Code::DeniedByPolicy, reason).rule(verdict.rule.clone());
            return Err(Objection { verdict: Some(Box::new(verdict)), facts, ..objection });
        }
        Ok(Weighed {
            final_digest: requested,
            sent: Sent::Egress(call.clone()),
            facts,
            definition: None,
            verdict,
        })
    }

    fn weigh_spawn(&self, run: &Run, requested: Digest, arguments: &Object) -> Result<Weighed, Objection> {
        let request = self.spawn_request(run, arguments);
        let facts = facts(&request).with_some("spawns", arguments.text("agent"));
        let verdict = self.workspace.policy.decide(&request);
        let object = |objection, verdict| Objection {
            verdict: Some(Box::new(verdict)),
            facts: facts.clone(),
            ..objection
        };
        if let Some(objection) = refused_by(&verdict) {
            return Err(object(objection, verdict));
        }
        if !verdict.obligations.redact.is_empty() {
            // What cannot be done is not left out in silence.
            let reason = "A rule wants parts of the result taken out (redact), which cannot be done with what a run writes.";
            let objection = Objection::new(Code::DeniedByPolicy, reason).rule(verdict.rule.clone());
            return Err(object(objection, verdict));
        }
        let narrowed = verdict.arguments.as_ref().unwrap_or(arguments);
        let final_digest = if narrowed == arguments { requested } else { digest_of(narrowed) };
        match SpawnCall::read(narrowed.clone()) {
            Ok(call) => {
                let sent = Sent::Spawn(Box::new(call));
                Ok(Weighed { final_digest, sent, facts, definition: None, verdict })
            }
            Err(error) => {
                let reason = format!("Within the rules nothing can be started: {error}");
                let objection = Objection::new(Code::InvalidInput, reason).rule(verdict.rule.clone());
                Err(object(objection, verdict))
            }
        }
    }

    fn weigh_call(
        &self,
        run: &Run,
        server: &ServerName,
        call: &Call,
        pinned: Option<&Pinned>,
        arguments: &Object,
    ) -> Result<Weighed, Objection> {
        let request = self.request(run, server.as_str(), call, pinned, arguments);
        let facts = facts(&request);
        let object = |code, reason| Objection { facts: facts.clone(), ..Objection::new(code, reason) };
        if arguments.contains(CONTINUATION) {
            // Recorded beside the arguments under this name: an argument of it would pass for one.
            let reason = format!("No argument may be called `{CONTINUATION}`.");
            return Err(object(Code::InvalidInput, reason));
        }
        if let Some(pointer) = lookalike(arguments, pinned.map(|pinned| &*pinned.definition.input)) {
            let reason = format!(
                "The argument {} can be taken for another one. Send each argument once, as the tool names it.",
                bounded(&pointer.escape_debug().to_string())
            );
            return Err(object(Code::InvalidInput, reason));
        }
        if let Some(pinned) = pinned {
            pinned.definition.input.validate(arguments).map_err(|violation| {
                object(
                    Code::InvalidInput,
                    format!("The arguments do not fit the tool's schema: {violation}."),
                )
            })?;
        }
        let verdict = self.workspace.policy.decide(&request);
        if let Some(objection) = refused_by(&verdict) {
            return Err(Objection { verdict: Some(Box::new(verdict)), facts, ..objection });
        }
        let narrowed = verdict.arguments.as_ref().unwrap_or(arguments);
        if let (Some(pinned), Some(_)) = (pinned, &verdict.arguments) {
            pinned.definition.input.validate(narrowed).map_err(|violation| {
                object(
                    Code::InvalidInput,
                    format!("Within the rules the arguments no longer fit the tool: {violation}."),
                )
            })?;
        }
        let final_call = call.with_arguments(narrowed.clone()).ok_or_else(|| {
            object(Code::InvalidInput, "Within the rules nothing is left of this call.".to_owned())
        })?;
        Ok(Weighed {
            final_digest: digest_of(&call.recorded(narrowed)),
            sent: Sent::Call(final_call),
            facts,
            definition: pinned.map(|pinned| Arc::clone(&pinned.definition)),
            verdict,
        })
    }
}

/// The hosts that builds reach are the operator's own statement, and no rule needs to say it again. A rule that says something
/// else holds all the same.
fn stated_by_the_operator(verdict: &mut Verdict) {
    if verdict.matched.is_empty() && verdict.misfit.is_none() {
        verdict.decision = Decision::Allow;
        verdict.approvals.clear();
        "The node builds an environment from an index that is configured.".clone_into(&mut verdict.reason);
    }
}

fn refused_by(verdict: &Verdict) -> Option<Objection> {
    verdict.refused().map(|code| Objection::new(code, &*verdict.reason).rule(verdict.rule.clone()))
}

fn facts(request: &Request<'_>) -> Object {
    Object::new()
        .with("kind", request.kind.as_str())
        .with_some("model", request.model)
        .with_some("host", request.host)
        .with_some("capability", request.capability)
        .with_some("action", request.action)
        .with("action_type", request.action_type.as_str())
        .with_some("risk", request.risk)
}
