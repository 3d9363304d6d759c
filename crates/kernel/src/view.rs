//! What configuration and rules make of a proposal's subject: whose it is, what it is on, how rules see it (step 2).

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::Object;
use ringfence_policy::Request;
use ringfence_types::{ActionType, Code, Kind, Role, ServerName};

use crate::ask::{Ask, What};
use crate::egress::is_ambiguous;
use crate::fold::Pinned;
use crate::limits::{EGRESS_TIME_MAX, SPAWN_TIME_MAX};
use crate::objection::Objection;
use crate::setup::{
    AgentSetup, BreakerSetup, ModelSetup, ServerSetup, ToolWords, WorkspaceSetup, hinted_type,
};
use crate::text::bounded;
use crate::{Call, EgressCall, Holds, ModelCall, Run, Setup, SpawnCall};

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
    Host,
    Agent,
}

// === impl View ===

impl<'a> View<'a> {
    /// Step 2: whose run is it, and does it hold this?
    pub(crate) fn of(setup: &'a Setup, ask: &Ask) -> Result<Self, Objection> {
        let run = &ask.run;
        let (Some((workspace, agent)), Some(holds)) = (setup.holder(run), setup.holds(run)) else {
            let reason =
                format!("{}/{}, or what started it, is no longer configured.", run.workspace, run.agent);
            return Err(Objection::new(Code::NotGranted, reason));
        };
        let part = match &ask.what {
            What::Server { server, call } => held_server(workspace, &holds, server, call.tool_name())?,
            What::Model(call) => held_model(workspace, &holds, call)?,
            What::Egress(call) => held_host(run, &holds, call)?,
            What::Spawn(call) => held_agent(&holds, call)?,
        };
        Ok(Self { setup, workspace, agent, part })
    }

    /// The view of whatever a run starts.
    pub(crate) fn of_spawn(setup: &'a Setup, run: &Run) -> Option<Self> {
        let (workspace, agent) = setup.holder(run)?;
        Some(Self { setup, workspace, agent, part: Part::Agent })
    }

    fn words(&self, tool: &str) -> Option<&'a ToolWords> {
        match self.part {
            Part::Server(server) => server.actions.get(tool),
            Part::Model(_) | Part::Host | Part::Agent => None,
        }
    }

    /// When what is asked counts as broken.
    pub(crate) fn breaker(&self) -> BreakerSetup {
        match self.part {
            Part::Server(server) => server.breaker,
            Part::Model(model) => model.breaker,
            Part::Host | Part::Agent => BreakerSetup::default(),
        }
    }

    /// How long one call may take.
    pub(crate) fn call_timeout(&self) -> Duration {
        match self.part {
            Part::Server(server) => server.call_timeout,
            Part::Model(model) => model.call_timeout,
            Part::Host => EGRESS_TIME_MAX,
            Part::Agent => SPAWN_TIME_MAX,
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
                Part::Model(_) | Part::Host | Part::Agent => ActionType::Write,
            },
            // Resources, prompts and completions only look (MCP 2026-07-28, server features).
            None if !call.is_tool() => ActionType::Read,
            None => ActionType::Write,
        }
    }

    /// A call of a model as rules see it.
    pub(crate) fn model_request<'r>(
        &'r self,
        run: &'r Run,
        call: &'r ModelCall,
        arguments: &'r Object,
    ) -> Request<'r> {
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

    /// A connection or request to a host as rules see it.
    pub(crate) fn egress_request<'r>(
        &'r self,
        run: &'r Run,
        call: &'r EgressCall,
        action: &'r str,
        arguments: &'r Object,
    ) -> Request<'r> {
        Request {
            kind: Kind::Egress,
            // Of what a tool server sends itself, which one that is.
            server: run.server(),
            host: Some(call.host.as_str()),
            action: Some(action),
            action_type: call.action_type(),
            ..self.blank(run, arguments)
        }
    }

    /// The start of a run as rules see it.
    pub(crate) fn spawn_request<'r>(&'r self, run: &'r Run, arguments: &'r Object) -> Request<'r> {
        Request { kind: Kind::Spawn, action: Some(SpawnCall::ACTION), ..self.blank(run, arguments) }
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
            Part::Model(_) | Part::Host | Part::Agent => None,
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
}

fn held_server<'a>(
    workspace: &'a WorkspaceSetup,
    holds: &Holds<'_>,
    server: &ServerName,
    tool: &str,
) -> Result<Part<'a>, Objection> {
    let known = workspace.servers.get(server).filter(|_| holds.tool(server, tool));
    // The same words whether or not the tool exists elsewhere: what is not granted does not exist.
    known.map(Part::Server).ok_or_else(|| {
        let reason = format!("This agent does not hold {server}/{tool}. Use one of the tools it was given.");
        Objection::new(Code::NotGranted, reason)
    })
}

fn held_model<'a>(
    workspace: &'a WorkspaceSetup,
    holds: &Holds<'_>,
    call: &ModelCall,
) -> Result<Part<'a>, Objection> {
    if let Some((tool, _)) = call.demand.hosted.iter().find(|(tool, _)| !holds.may_host(tool)) {
        let reason = format!("This agent may not have models use `{tool}`. Ask without it.");
        return Err(Objection::new(Code::NotGranted, reason));
    }
    let held = holds.model(&call.model, call.named.as_ref());
    let known = workspace.models.get(&call.model).filter(|_| held);
    known.map(Part::Model).ok_or_else(|| {
        let asked = call.named.as_ref().unwrap_or(&call.model);
        let reason = format!("This agent holds no model `{asked}`. Use one of the models it was given.");
        Objection::new(Code::NotGranted, reason)
    })
}

fn held_host<'a>(run: &Run, holds: &Holds<'_>, call: &EgressCall) -> Result<Part<'a>, Objection> {
    // `*` is what OPTIONS asks of a whole server.
    if call.bare_path().is_some_and(|path| path != "*" && is_ambiguous(path)) {
        let reason = "This path can be read in more than one way. Write it without `.` and `..` steps and backslashes, and encode only what has to be.";
        return Err(Objection::new(Code::InvalidInput, reason));
    }
    if holds.host(call) {
        return Ok(Part::Host);
    }
    let (who, EgressCall { host, port, .. }) = (run.called(), call);
    let reason = match (&call.method, holds.reaches(host, *port)) {
        (Some(method), true) => format!("{who} may reach {host}:{port}, but not with this {method}."),
        (None, true) => format!(
            "{who} holds some requests to {host}:{port}, which have to be seen one by one. Only HTTP may be spoken there, also within \
             TLS."
        ),
        _ => format!("{who} may not reach {host}:{port}. Use one of the hosts it was given."),
    };
    Err(Objection::new(Code::NotGranted, reason))
}

fn held_agent<'a>(holds: &Holds<'_>, call: &SpawnCall) -> Result<Part<'a>, Objection> {
    if holds.may_spawn(call.agent()) {
        return Ok(Part::Agent);
    }
    let held: Vec<&str> = holds.agents().into_iter().map(AsRef::as_ref).collect();
    let instead = match held.as_slice() {
        [] => "It may start none.".to_owned(),
        held => format!("It may start: {}.", held.join(", ")),
    };
    let reason = format!("This run may not start `{}`. {instead}", call.agent());
    Err(Objection::new(Code::NotGranted, bounded(&reason)))
}
