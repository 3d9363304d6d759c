//! What the policy says of a call, and why. A question: it takes nothing and leaves no trace.

use ringfence_json::{Object, Value};
use ringfence_kernel::Grants;
use ringfence_policy::{KnownTool, PolicySet, Request, Verdict};
use ringfence_types::{ActionType, Kind, Role};
use smol_str::SmolStr;

use crate::compile::Compiled;
use crate::config::{AgentConfig, Config, ServerConfig, WorkspaceConfig};

/// A call that cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// A member is missing.
    #[error(
        "`{0}` is needed: a call is {{\"workspace\":…, \"agent\":…, \"server\":…, \"tool\":…, \"arguments\":{{…}}}}"
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
    agent: &'a AgentConfig,
    server: &'a ServerConfig,
    tool: &'a str,
    user: Option<&'a str>,
    roles: &'a [Role],
    known: Option<&'a KnownTool>,
    /// What the tool counts as where neither configuration nor definition says.
    hinted: ActionType,
    arguments: &'a Object,
}

/// Explains a call: `workspace`, `agent`, `server`, `tool`, and optionally `user`, `arguments`, and the `action_type` of a
/// tool of which neither the configuration nor a definition says it. `tools` are the pinned ones, none offline.
///
/// # Errors
/// When a member is missing or names something that is not configured.
pub fn explain(compiled: &Compiled, tools: &[KnownTool], call: &Object) -> Result<Object, ExplainError> {
    let nothing = Object::new();
    let config = &compiled.loaded.config;
    let asked = asked(config, tools, call, &nothing)?;
    let policy = compiled.policies.get(&asked.workspace.name).ok_or(ExplainError::Missing("workspace"))?;
    Ok(with_request(config, &asked, |request| explanation(policy, request, &asked)))
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
    Ok(with_request(config, &asked, |request| policy.decide(request)))
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
    let name = text(call, "agent")?.ok_or(ExplainError::Missing("agent"))?;
    let agent = workspace.agents.iter().find(|agent| agent.name.as_str() == name);
    let names = workspace.agents.iter().map(|agent| agent.name.as_str());
    let agent = agent.ok_or_else(|| unknown("agent", name, names))?;
    let name = text(call, "server")?.ok_or(ExplainError::Missing("server"))?;
    let server = workspace.servers.iter().find(|server| server.name.as_str() == name);
    let names = workspace.servers.iter().map(|server| server.name.as_str());
    let server = server.ok_or_else(|| unknown("server", name, names))?;
    let tool = text(call, "tool")?.ok_or(ExplainError::Missing("tool"))?;
    let user = text(call, "user")?;
    let person = config.people.iter().find(|person| Some(person.name.as_str()) == user);
    let known = tools.iter().find(|known| {
        known.workspace == workspace.name && known.server == server.name && known.name.as_str() == tool
    });
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
    let hinted = hinted.unwrap_or(ActionType::Write);
    Ok(Asked { workspace, agent, server, tool, user, roles, known, hinted, arguments })
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
    let words = asked.server.actions.iter().find(|action| action.tool.as_str() == asked.tool);
    let no_labels: &[SmolStr] = &[];
    let action = words.and_then(|words| words.action.as_deref()).unwrap_or(asked.tool);
    let action_type = asked
        .known
        .map(|known| known.action_type)
        .or_else(|| words.and_then(|words| words.action_type))
        .unwrap_or(asked.hinted);
    with(&Request {
        kind: Kind::ToolCall,
        organization: config.organization.as_str(),
        workspace: asked.workspace.name.as_str(),
        environment: &asked.workspace.environment,
        agent: asked.agent.name.as_str(),
        user: asked.user,
        roles: asked.roles,
        server: Some(asked.server.name.as_str()),
        tool: Some(asked.tool),
        model: None,
        host: None,
        capability: asked.server.capability.as_deref(),
        action: Some(action),
        action_type,
        risk: words.and_then(|words| words.risk.as_deref()),
        labels: words.map_or(no_labels, |words| &words.labels),
        arguments: asked.arguments,
        schema: asked.known.and_then(|known| known.definition.as_ref()).map(|definition| &*definition.input),
    })
}

fn explanation(policy: &PolicySet, request: &Request<'_>, asked: &Asked<'_>) -> Object {
    let grants = Grants::parse(asked.agent.grants.iter().map(String::as_str)).unwrap_or_default();
    let granted = grants.holds(&asked.server.name, asked.tool);
    policy
        .explain(request)
        .to_object()
        .with("granted", granted)
        .with("definition_known", asked.known.is_some())
        .with("action", request.action.unwrap_or_default())
        .with("action_type", request.action_type.as_str())
}
