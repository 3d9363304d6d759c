//! What the policy says of a call, and why. A question: it takes nothing and leaves no trace.

mod host;
mod replay;

use ringfence_json::{Object, Value};
use ringfence_kernel::{EgressCall, EgressGrants, Grants, NOT_APPLICABLE, is_applicable};
use ringfence_policy::{KnownTool, PolicySet, Request, Verdict};
use ringfence_types::{ActionType, AgentName, Decision, Kind, Role};
use smol_str::SmolStr;

use crate::compile::Compiled;
use crate::config::{AgentConfig, Config, ServerConfig, WorkspaceConfig};

pub use replay::replayed_arguments;

/// A call that cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// A member is missing.
    #[error(
        "`{0}` is needed: a call is {{\"workspace\":…, \"agent\":…, \"server\":…, \"tool\":…, \"arguments\":{{…}}}}, or has \"model\", \"host\" or \"spawns\" instead of \"server\" and \"tool\""
    )]
    Missing(&'static str),
    /// A member of another type.
    #[error("`{member}` must be {expected}")]
    Type {
        /// Which.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A request to a model that the gateway would not take.
    #[error("the gateway would not take this request: {0}")]
    Request(String),
    /// It names something that is not configured.
    #[error("there is no {what} `{name}`{hint}")]
    Unknown {
        /// What.
        what: &'static str,
        /// Which.
        name: String,
        /// What was probably meant.
        hint: String,
    },
}

/// A call in the policy's words.
struct Asked<'a> {
    workspace: &'a WorkspaceConfig,
    by: By<'a>,
    on: On<'a>,
    user: Option<&'a str>,
    roles: &'a [Role],
    /// What it counts as where neither configuration nor definition says.
    hinted: Option<ActionType>,
    arguments: &'a Object,
}

/// Who asks.
enum By<'a> {
    Agent(&'a AgentConfig),
    /// A tool server in a sandbox, under the name that stands where an agent's would.
    Server(&'a ServerConfig, AgentName),
}

/// What a call is on.
enum On<'a> {
    Tool { server: &'a ServerConfig, tool: &'a str, known: Option<&'a KnownTool> },
    Model { model: &'a str, operation: &'a str },
    Spawn { agent: &'a str },
    Host { call: EgressCall, arguments: Object },
}

/// What a model is asked to do where a call does not say.
const OPERATION: &str = "chat";

/// Explains a call: `workspace`, `agent`, `server`, `tool`, and optionally `user`, `arguments`, and the `action_type` of a
/// tool of which neither the configuration nor a definition says it. Or of a model: `workspace`, `agent`, `model`, and
/// optionally `operation` (`chat` unless given), `user`, `arguments`, `action_type` (`read` unless given: a model only
/// acts through tools that its provider hosts). Or of the start of a run: `workspace`, `agent`, `spawns` (the agent to start), and
/// optionally `user`, `arguments`. Or of a host: `workspace`, `agent` or `server` (a tool server in a sandbox), `host`, and optionally
/// `port` (443 unless given), `protocol`, `method`, `path`, `user`. `tools` are the pinned ones, none offline.
///
/// # Errors
/// When a member is missing or names something that is not configured.
pub fn explain(compiled: &Compiled, tools: &[KnownTool], call: &Object) -> Result<Object, ExplainError> {
    let nothing = Object::new();
    let config = &compiled.loaded.config;
    let asked = asked(config, tools, call, &nothing)?;
    let policy = compiled.policies.get(&asked.workspace.name).ok_or(ExplainError::Missing("workspace"))?;
    let explained = with_request(config, &asked, |request| explanation(policy, request, &asked));
    Ok(match &asked.on {
        On::Host { call, .. } => explained.with("reached", host::reached(&config.egress, &asked.by, call)),
        _ => explained,
    })
}

/// What the policy decides on a call, without the reasons; for replaying recorded traffic.
///
/// # Errors
/// As [`explain`].
pub fn decide(compiled: &Compiled, tools: &[KnownTool], call: &Object) -> Result<Verdict, ExplainError> {
    let nothing = Object::new();
    let config = &compiled.loaded.config;
    let asked = asked(config, tools, call, &nothing)?;
    let policy = compiled.policies.get(&asked.workspace.name).ok_or(ExplainError::Missing("workspace"))?;
    let mut verdict = with_request(config, &asked, |request| policy.decide(request));
    applied(&asked, &mut verdict);
    Ok(verdict)
}

fn asked<'a>(
    config: &'a Config,
    tools: &'a [KnownTool],
    call: &'a Object,
    nothing: &'a Object,
) -> Result<Asked<'a>, ExplainError> {
    let name = text(call, "workspace")?.ok_or(ExplainError::Missing("workspace"))?;
    let names = config.workspaces.iter().map(|workspace| workspace.name.as_str());
    let workspace = config.workspace(name).ok_or_else(|| unknown("workspace", name, names))?;
    let by = host::by(workspace, call)?;
    let on = asked_on(workspace, tools, call)?;
    let user = text(call, "user")?;
    let person = config.people.iter().find(|person| Some(person.name.as_str()) == user);
    let arguments = match call.get("arguments") {
        None | Some(Value::Null) => nothing,
        Some(value) => {
            value.as_object().ok_or(ExplainError::Type { member: "arguments", expected: "an object" })?
        }
    };
    let roles = person.map_or(&[][..], |person| &person.roles);
    let hinted = text(call, "action_type")?.map(str::parse).transpose();
    let hinted =
        hinted.map_err(|_| ExplainError::Type { member: "action_type", expected: "read or write" })?;
    Ok(Asked { workspace, by, on, user, roles, hinted, arguments })
}

fn agent<'a>(workspace: &'a WorkspaceConfig, call: &Object) -> Result<&'a AgentConfig, ExplainError> {
    let name = text(call, "agent")?.ok_or(ExplainError::Missing("agent"))?;
    let agent = workspace.agents.iter().find(|agent| agent.name.as_str() == name);
    let names = workspace.agents.iter().map(|agent| agent.name.as_str());
    agent.ok_or_else(|| unknown("agent", name, names))
}

fn asked_on<'a>(
    workspace: &'a WorkspaceConfig,
    tools: &'a [KnownTool],
    call: &'a Object,
) -> Result<On<'a>, ExplainError> {
    if let Some(name) = text(call, "host")? {
        return host::asked(name, call);
    }
    if let Some(name) = text(call, "spawns")? {
        for member in ["server", "tool", "model"] {
            if text(call, member)?.is_some() {
                return Err(ExplainError::Type {
                    member,
                    expected: "left out where `spawns` names an agent",
                });
            }
        }
        let names = workspace.agents.iter().map(|agent| agent.name.as_str());
        let agent =
            names.clone().find(|agent| *agent == name).ok_or_else(|| unknown("agent", name, names))?;
        return Ok(On::Spawn { agent });
    }
    if let Some(name) = text(call, "model")? {
        for member in ["server", "tool"] {
            if text(call, member)?.is_some() {
                return Err(ExplainError::Type { member, expected: "left out where a `model` is named" });
            }
        }
        let names = workspace.models.iter().map(|model| model.name.as_str());
        let model =
            names.clone().find(|model| *model == name).ok_or_else(|| unknown("model", name, names))?;
        return Ok(On::Model { model, operation: text(call, "operation")?.unwrap_or(OPERATION) });
    }
    let name = text(call, "server")?.ok_or(ExplainError::Missing("server"))?;
    let server = server(workspace, name)?;
    let tool = text(call, "tool")?.ok_or(ExplainError::Missing("tool"))?;
    let known = tools.iter().find(|known| {
        known.workspace == workspace.name && known.server == server.name && known.name.as_str() == tool
    });
    Ok(On::Tool { server, tool, known })
}

fn server<'a>(workspace: &'a WorkspaceConfig, name: &str) -> Result<&'a ServerConfig, ExplainError> {
    let server = workspace.servers.iter().find(|server| server.name.as_str() == name);
    let names = workspace.servers.iter().map(|server| server.name.as_str());
    server.ok_or_else(|| unknown("server", name, names))
}

fn text<'a>(call: &'a Object, member: &'static str) -> Result<Option<&'a str>, ExplainError> {
    match call.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(ExplainError::Type { member, expected: "a text" }),
    }
}

fn unknown<'a>(what: &'static str, name: &str, names: impl Iterator<Item = &'a str>) -> ExplainError {
    let near = ringfence_document::nearest(name, names);
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    ExplainError::Unknown { what, name: crate::shown::line(name), hint }
}

fn with_request<T>(config: &Config, asked: &Asked<'_>, with: impl FnOnce(&Request<'_>) -> T) -> T {
    let blank = Request {
        kind: Kind::ToolCall,
        organization: config.organization.as_str(),
        workspace: asked.workspace.name.as_str(),
        environment: &asked.workspace.environment,
        agent: asked.by.name(),
        user: asked.user,
        roles: asked.roles,
        server: None,
        tool: None,
        model: None,
        host: None,
        capability: None,
        action: None,
        action_type: ActionType::Write,
        risk: None,
        labels: &[],
        arguments: asked.arguments,
        schema: None,
    };
    match &asked.on {
        On::Host { call, arguments } => with(&Request {
            kind: Kind::Egress,
            server: asked.by.server(),
            host: Some(call.host.as_str()),
            action: Some(&call.action()),
            action_type: call.action_type(),
            arguments,
            ..blank
        }),
        On::Spawn { agent } => with(&Request {
            kind: Kind::Spawn,
            action: Some(Kind::Spawn.as_str()),
            arguments: &asked.arguments.clone().with("agent", *agent),
            ..blank
        }),
        On::Model { model, operation } => with(&Request {
            kind: Kind::ModelCall,
            model: Some(model),
            action: Some(operation),
            // As the kernel has it: asking a model changes nothing in the world.
            action_type: asked.hinted.unwrap_or(ActionType::Read),
            ..blank
        }),
        On::Tool { server, tool, known } => {
            let words = server.actions.iter().find(|action| action.tool.as_str() == *tool);
            let no_labels: &[SmolStr] = &[];
            let action_type = known
                .map(|known| known.action_type)
                .or_else(|| words.and_then(|words| words.action_type))
                .or(asked.hinted);
            let definition = known.and_then(|known| known.definition.as_ref());
            with(&Request {
                server: Some(server.name.as_str()),
                tool: Some(tool),
                capability: server.capability.as_deref(),
                action: Some(words.and_then(|words| words.action.as_deref()).unwrap_or(tool)),
                action_type: action_type.unwrap_or(ActionType::Write),
                risk: words.and_then(|words| words.risk.as_deref()),
                labels: words.map_or(no_labels, |words| &words.labels),
                schema: definition.map(|definition| &*definition.input),
                ..blank
            })
        }
    }
}

/// Of a model, what rules left of the arguments must be something that can be applied to a request: the kernel refuses what
/// cannot.
fn applied(asked: &Asked<'_>, verdict: &mut Verdict) {
    let (On::Model { .. }, None, Some(left)) = (&asked.on, verdict.refused(), &verdict.arguments) else {
        return;
    };
    if !is_applicable(asked.arguments, left) {
        verdict.decision = Decision::Deny;
        NOT_APPLICABLE.clone_into(&mut verdict.reason);
        verdict.arguments = None;
        verdict.narrowed.clear();
    }
}

fn explanation(policy: &PolicySet, request: &Request<'_>, asked: &Asked<'_>) -> Object {
    let mut explanation = policy.explain(request);
    applied(asked, &mut explanation.verdict);
    let explained = explanation.to_object();
    let explained = explained.with("granted", asked.by.holds(&asked.on));
    let explained = match &asked.on {
        On::Tool { known, .. } => explained.with("definition_known", known.is_some()),
        _ => explained,
    };
    explained
        .with("action", request.action.unwrap_or_default())
        .with("action_type", request.action_type.as_str())
}

// === impl By ===

impl<'a> By<'a> {
    fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.name.as_str(),
            Self::Server(_, name) => name.as_str(),
        }
    }

    /// As the kernel has it: of what a tool server sends itself, which one that is.
    fn server(&self) -> Option<&str> {
        match self {
            Self::Agent(_) => None,
            Self::Server(server, _) => Some(server.name.as_str()),
        }
    }

    fn agent(&self) -> Option<&'a AgentConfig> {
        match self {
            Self::Agent(agent) => Some(agent),
            Self::Server(..) => None,
        }
    }

    fn egress(&self) -> &[String] {
        match self {
            Self::Agent(agent) => &agent.egress,
            Self::Server(server, _) => server.sandbox().map_or(&[], |sandbox| &sandbox.egress),
        }
    }

    fn holds(&self, on: &On<'_>) -> bool {
        if let On::Host { call, .. } = on {
            let grants = EgressGrants::parse(self.egress().iter().map(String::as_str));
            return grants.unwrap_or_default().holds(call);
        }
        self.agent().is_some_and(|agent| match on {
            On::Tool { server, tool, .. } => {
                let grants = Grants::parse(agent.grants.iter().map(String::as_str));
                grants.unwrap_or_default().holds(&server.name, tool)
            }
            On::Model { model, .. } => agent.models.iter().any(|held| held.as_str() == *model),
            On::Spawn { agent: other } => agent.spawn.iter().any(|held| held.as_str() == *other),
            On::Host { .. } => false,
        })
    }
}
