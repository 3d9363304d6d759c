//! The stateless part of an admission: identity and grant, input, policy (steps 2 to 4).

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::Object;
use ringfence_policy::{Request, ToolDefinition, Verdict, lookalike};
use ringfence_types::{ActionId, ActionType, ApprovalId, Code, Digest, Kind, Refusal, Role, RuleName};

use crate::fold::Pinned;
use crate::proposal::{CONTINUATION, digest_of};
use crate::setup::{AgentSetup, ServerSetup, ToolWords, WorkspaceSetup, hinted_type};
use crate::text::bounded;
use crate::{Call, Proposal, Run, Setup};

/// A proposal with all that follows from configuration and policy alone.
#[derive(Debug)]
pub(crate) struct Weighed {
    pub verdict: Verdict,
    /// What is sent.
    pub final_call: Call,
    /// Of the arguments that are sent.
    pub final_digest: Digest,
    /// What history conditions may read.
    pub facts: Object,
    pub definition: Option<Arc<ToolDefinition>>,
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
    pub server: &'a ServerSetup,
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
    pub(crate) fn of(setup: &'a Setup, proposal: &Proposal) -> Result<Self, Objection> {
        let run = &proposal.run;
        let Some((workspace, agent)) = setup.agent(&run.workspace, &run.agent) else {
            let reason = format!("The agent {}/{} is no longer configured.", run.workspace, run.agent);
            return Err(Objection::new(Code::NotGranted, reason));
        };
        let tool = proposal.call.tool_name();
        let server = workspace.servers.get(&proposal.server);
        match server.filter(|_| agent.grants.holds(&proposal.server, tool)) {
            Some(server) => Ok(Self { setup, workspace, agent, server }),
            // The same words whether or not the tool exists elsewhere: what is not granted does not exist.
            None => Err(Objection::new(
                Code::NotGranted,
                format!(
                    "This agent does not hold {}/{tool}. Use one of the tools it was given.",
                    proposal.server
                ),
            )),
        }
    }

    fn words(&self, tool: &str) -> Option<&'a ToolWords> {
        self.server.actions.get(tool)
    }

    /// Whether a tool counts as reading: configured, or hinted at in a definition that someone vouches for.
    fn action_type(&self, call: &Call, pinned: Option<&Pinned>) -> ActionType {
        if let Some(configured) = self.words(call.tool_name()).and_then(|words| words.action_type) {
            return configured;
        }
        match pinned {
            Some(pinned) => hinted_type(&pinned.definition, pinned.person, self.server.trust_hints),
            // Resources, prompts and completions only look (MCP 2026-07-28, server features).
            None if !call.is_tool() => ActionType::Read,
            None => ActionType::Write,
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
        Request {
            kind: Kind::ToolCall,
            organization: self.setup.organization.as_str(),
            workspace: run.workspace.as_str(),
            environment: &self.workspace.environment,
            agent: run.agent.as_str(),
            user: run.user.as_ref().map(AsRef::as_ref),
            roles: self.roles(run),
            server: Some(server),
            tool: Some(tool),
            model: None,
            host: None,
            capability: self.server.capability.as_deref(),
            action: Some(words.and_then(|words| words.action.as_deref()).unwrap_or(tool)),
            action_type: self.action_type(call, pinned),
            risk: words.and_then(|words| words.risk.as_deref()),
            labels: words.map_or(&[], |words| &words.labels),
            arguments,
            schema: pinned.map(|pinned| &*pinned.definition.input),
        }
    }

    fn roles(&self, run: &Run) -> &'a [Role] {
        run.user.as_ref().and_then(|user| self.setup.people.get(user.as_str())).map_or(&[], Vec::as_slice)
    }

    /// Steps 3 and 4: is the input what the tool takes, and what do the rules say of it? `arguments` are the agent's,
    /// or those an approver made of them.
    pub(crate) fn weigh(
        &self,
        proposal: &Proposal,
        pinned: Option<&Pinned>,
        arguments: &Object,
    ) -> Result<Weighed, Objection> {
        let request =
            self.request(&proposal.run, proposal.server.as_str(), &proposal.call, pinned, arguments);
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
        let final_call = proposal.call.with_arguments(narrowed.clone()).ok_or_else(|| {
            object(Code::InvalidInput, "Within the rules nothing is left of this call.".to_owned())
        })?;
        Ok(Weighed {
            final_digest: digest_of(&proposal.call.recorded(narrowed)),
            final_call,
            facts,
            definition: pinned.map(|pinned| Arc::clone(&pinned.definition)),
            verdict,
        })
    }
}

fn refused_by(verdict: &Verdict) -> Option<Objection> {
    verdict.refused().map(|code| Objection::new(code, &*verdict.reason).rule(verdict.rule.clone()))
}

fn facts(request: &Request<'_>) -> Object {
    Object::new()
        .with("kind", request.kind.as_str())
        .with_some("capability", request.capability)
        .with_some("action", request.action)
        .with("action_type", request.action_type.as_str())
        .with_some("risk", request.risk)
}
