//! The stateless part of an admission: identity and grant, input, policy (steps 2 to 4).

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::Object;
use ringfence_policy::{Request, ToolDefinition, Verdict, lookalike};
use ringfence_types::{
    ActionId, ActionType, ApprovalId, Code, Digest, Kind, Refusal, Role, RuleName, ServerName,
};

use crate::ask::{Ask, What};
use crate::fold::Pinned;
use crate::proposal::{CONTINUATION, digest_of};
use crate::setup::{
    AgentSetup, BreakerSetup, ModelSetup, ServerSetup, ToolWords, WorkspaceSetup, hinted_type,
};
use crate::text::bounded;
use crate::{Call, Demand, ModelCall, Run, Setup};

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
}

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
}

/// The configuration's view of one proposal.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub setup: &'a Setup,
    pub workspace: &'a WorkspaceSetup,
    pub agent: &'a AgentSetup,
    pub part: Part<'a>,
}

/// What the configuration says of what is asked.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Server(&'a ServerSetup),
    Model(&'a Arc<ModelSetup>),
}

// === impl Weighed ===

impl Weighed {
    /// What is kept of what goes out.
    pub(crate) fn recorded(&self) -> Vec<u8> {
        match &self.sent {
            Sent::Call(call) => call.recorded(&call.arguments()).to_canonical(),
            Sent::Model(_) => self.verdict.arguments.as_ref().map(Object::to_canonical).unwrap_or_default(),
        }
    }
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
        }
    }
}

// === impl View ===

impl<'a> View<'a> {
    /// Step 2: whose run is it, and does it hold this?
    pub(crate) fn of(setup: &'a Setup, ask: &Ask) -> Result<Self, Objection> {
        let run = &ask.run;
        let Some((workspace, agent)) = setup.agent(&run.workspace, &run.agent) else {
            let reason = format!("The agent {}/{} is no longer configured.", run.workspace, run.agent);
            return Err(Objection::new(Code::NotGranted, reason));
        };
        let part = match &ask.what {
            What::Server { server, call } => held_server(workspace, agent, server, call.tool_name())?,
            What::Model(call) => held_model(workspace, agent, call)?,
        };
        Ok(Self { setup, workspace, agent, part })
    }

    fn words(&self, tool: &str) -> Option<&'a ToolWords> {
        match self.part {
            Part::Server(server) => server.actions.get(tool),
            Part::Model(_) => None,
        }
    }

    /// When what is asked counts as broken.
    pub(crate) fn breaker(&self) -> BreakerSetup {
        match self.part {
            Part::Server(server) => server.breaker,
            Part::Model(model) => model.breaker,
        }
    }

    /// How long one call may take.
    pub(crate) fn call_timeout(&self) -> Duration {
        match self.part {
            Part::Server(server) => server.call_timeout,
            Part::Model(model) => model.call_timeout,
        }
    }

    /// Whether a tool counts as reading: configured, or hinted at in a definition that someone vouches for.
    fn action_type(&self, call: &Call, pinned: Option<&Pinned>) -> ActionType {
        if let Some(configured) = self.words(call.tool_name()).and_then(|words| words.action_type) {
            return configured;
        }
        match pinned {
            Some(pinned) => match self.part {
                Part::Server(server) => hinted_type(&pinned.definition, pinned.person, server.trust_hints),
                Part::Model(_) => ActionType::Write,
            },
            // Resources, prompts and completions only look (MCP 2026-07-28, server features).
            None if !call.is_tool() => ActionType::Read,
            None => ActionType::Write,
        }
    }

    /// A call of a model as rules see it.
    fn model_request<'r>(&'r self, run: &'r Run, call: &'r ModelCall, arguments: &'r Object) -> Request<'r> {
        // Nothing changes in the world by asking a model, unless it acts at the provider.
        let acts = !call.demand.hosted.is_empty();
        Request {
            kind: Kind::ModelCall,
            server: None,
            tool: None,
            model: Some(call.model.as_str()),
            capability: None,
            action: Some(&call.operation),
            action_type: if acts { ActionType::Write } else { ActionType::Read },
            risk: None,
            labels: &[],
            arguments,
            schema: None,
            ..self.blank(run, arguments)
        }
    }

    /// A request by this run of nothing in particular.
    fn blank<'r>(&'r self, run: &'r Run, arguments: &'r Object) -> Request<'r> {
        Request {
            kind: Kind::ToolCall,
            organization: self.setup.organization.as_str(),
            workspace: run.workspace.as_str(),
            environment: &self.workspace.environment,
            agent: run.agent.as_str(),
            user: run.user.as_ref().map(AsRef::as_ref),
            roles: self.roles(run),
            server: None,
            tool: None,
            model: None,
            host: None,
            capability: None,
            action: None,
            action_type: ActionType::Write,
            risk: None,
            labels: &[],
            arguments,
            schema: None,
        }
    }

    /// The request as rules see it.
    pub(crate) fn request<'r>(
        &'r self,
        run: &'r Run,
        server: &'r str,
        call: &'r Call,
        pinned: Option<&'r Pinned>,
        arguments: &'r Object,
    ) -> Request<'r> {
        let tool = call.tool_name();
        let words = self.words(tool);
        let capability = match self.part {
            Part::Server(server) => server.capability.as_deref(),
            Part::Model(_) => None,
        };
        Request {
            server: Some(server),
            tool: Some(tool),
            capability,
            action: Some(words.and_then(|words| words.action.as_deref()).unwrap_or(tool)),
            action_type: self.action_type(call, pinned),
            risk: words.and_then(|words| words.risk.as_deref()),
            labels: words.map_or(&[], |words| &words.labels),
            schema: pinned.map(|pinned| &*pinned.definition.input),
            ..self.blank(run, arguments)
        }
    }

    fn roles(&self, run: &Run) -> &'a [Role] {
        run.user.as_ref().and_then(|user| self.setup.people.get(user.as_str())).map_or(&[], Vec::as_slice)
    }

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
            let reason = "A rule constrains this call in a way that cannot be applied to it: only max_output_tokens and n can be lowered.";
            let objection = Objection::new(Code::DeniedByPolicy, reason).rule(verdict.rule.clone());
            return Err(Objection { verdict: Some(Box::new(verdict)), facts, ..objection });
        };
        let final_digest = match &verdict.arguments {
            None => requested,
            Some(narrowed) => Digest::of(&[requested.as_bytes(), &narrowed.to_canonical()[..]].concat()),
        };
        Ok(Weighed { final_digest, sent: Sent::Model(demand), facts, definition: None, verdict })
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

fn held_server<'a>(
    workspace: &'a WorkspaceSetup,
    agent: &AgentSetup,
    server: &ServerName,
    tool: &str,
) -> Result<Part<'a>, Objection> {
    let known = workspace.servers.get(server).filter(|_| agent.grants.holds(server, tool));
    // The same words whether or not the tool exists elsewhere: what is not granted does not exist.
    known.map(Part::Server).ok_or_else(|| {
        let reason = format!("This agent does not hold {server}/{tool}. Use one of the tools it was given.");
        Objection::new(Code::NotGranted, reason)
    })
}

fn held_model<'a>(
    workspace: &'a WorkspaceSetup,
    agent: &AgentSetup,
    call: &ModelCall,
) -> Result<Part<'a>, Objection> {
    if let Some((tool, _)) = call.demand.hosted.iter().find(|(tool, _)| !agent.models.hosted.contains(tool)) {
        let reason = format!("This agent may not have models use `{tool}`. Ask without it.");
        return Err(Objection::new(Code::NotGranted, reason));
    }
    let held = agent.models.hold(workspace, &call.model, call.named.as_ref());
    let known = workspace.models.get(&call.model).filter(|_| held);
    known.map(Part::Model).ok_or_else(|| {
        let asked = call.named.as_ref().unwrap_or(&call.model);
        let reason = format!("This agent holds no model `{asked}`. Use one of the models it was given.");
        Objection::new(Code::NotGranted, reason)
    })
}

fn refused_by(verdict: &Verdict) -> Option<Objection> {
    verdict.refused().map(|code| Objection::new(code, &*verdict.reason).rule(verdict.rule.clone()))
}

fn facts(request: &Request<'_>) -> Object {
    Object::new()
        .with("kind", request.kind.as_str())
        .with_some("model", request.model)
        .with_some("capability", request.capability)
        .with_some("action", request.action)
        .with("action_type", request.action_type.as_str())
        .with_some("risk", request.risk)
}
