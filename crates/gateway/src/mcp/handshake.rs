//! How a conversation begins: `initialize` for legacy clients, `server/discover` for modern ones.

use std::sync::Arc;

use http::{HeaderValue, Response};
use ringfence_json::{Object, Value};
use ringfence_kernel::Lease;
use ringfence_types::{Code, ServerName};
use smol_str::SmolStr;

use super::answers::{self, Denied};
use super::endpoint::Endpoint;
use super::era::{self, Era};
use super::fault::{self, Fault};
use super::flight::Caller;
use super::handler::{self, allowed};
use super::headers;
use super::link::{self, Greeting, Link};
use super::message::{Request, Response as Answer};
use super::passage::Passage;
use super::session::Session;
use super::upstream::UpstreamError;
use super::{discovery, list, turned_away};
use crate::http::outbound::Outbound;
use crate::targets::Target;

/// Answers `initialize` and begins a session.
pub(crate) async fn initialize(caller: &Caller, endpoint: Endpoint, request: Request) -> Response<Outbound> {
    let id = request.id.clone();
    let handshake = match handshake(&request) {
        Ok(handshake) => handshake,
        Err(fault) => return answers::fault(caller, &fault, Some(id)),
    };
    let begun = match &endpoint {
        Endpoint::Merged => begin_merged(caller, handshake),
        Endpoint::Server(server) => begin(caller, server, handshake).await,
    };
    match begun {
        Ok((session, result)) => {
            let answer = Answer::result(id, result);
            let mut response = answers::json(caller, &answer);
            if let Ok(session) = HeaderValue::from_str(&session.id) {
                response.headers_mut().insert(headers::SESSION, session);
            }
            response
        }
        Err(denied) => denied.respond(caller, Some(id)),
    }
}

/// The client's parameters, with a revision that is spoken here.
fn handshake(request: &Request) -> Result<Object, Fault> {
    let invalid = |message: &str| Err(Fault::answer(fault::INVALID_PARAMS, message));
    let Some(mut params) = request.params.clone() else { return invalid("`initialize` needs parameters") };
    let Some(version) = params.text("protocolVersion") else {
        return invalid("`protocolVersion` is missing");
    };
    if params.get("capabilities").and_then(Value::as_object).is_none() {
        return invalid("`capabilities` is missing");
    }
    if !era::is_legacy(version) {
        // The server answers with another revision it speaks (MCP 2025-11-25, "Version Negotiation").
        params.insert("protocolVersion", era::LEGACY);
    }
    if let Some(capabilities) = params.get_mut("capabilities").and_then(Value::as_object_mut) {
        capabilities.remove("tasks");
    }
    Ok(params)
}

async fn begin(
    caller: &Caller,
    server: &ServerName,
    handshake: Object,
) -> Result<(Arc<Session>, Object), Denied> {
    let lease = allowed(caller, server, "initialize")?;
    handler::while_leased(&lease, begin_leased(caller, &lease, server, handshake)).await
}

async fn begin_leased(
    caller: &Caller,
    lease: &Lease,
    server: &ServerName,
    handshake: Object,
) -> Result<(Arc<Session>, Object), Denied> {
    let gate = &caller.gate;
    let spoken = discovery::spoken(gate, &caller.run.workspace, server).await?;
    if !spoken.speaks(Era::Legacy) {
        let requested: SmolStr = handshake.text("protocolVersion").unwrap_or_default().into();
        return Err(spoken.refuse(server.as_str(), &requested).into());
    }
    let begin = |handshake| begin_session(caller, server, Endpoint::Server(server.clone()), handshake);
    let (session, mut result) = match gate.target(&caller.run.workspace, server)? {
        Target::Http(target) => {
            match link::greet(gate, Passage::Visit(lease), &target, handshake.clone()).await? {
                Greeting::Rejected(answer) => {
                    return Err(Denied::Rejected(Box::new(answer), http::StatusCode::OK));
                }
                Greeting::Welcome(welcome, result) => {
                    let session = begin(handshake)?;
                    *session.upstream(server).lock().await = Some(welcome);
                    (session, result)
                }
            }
        }
        Target::Stdio(_) => {
            let session = begin(handshake)?;
            match Link::legacy(gate, Passage::Visit(lease), &session, server).await {
                Ok(Link::Child(child)) => (session, child.handshake().unwrap_or_default()),
                Ok(Link::Http(_)) => return Err(Fault::no_session().into()),
                Err(error) => {
                    gate.sessions.end(&session);
                    return Err(error.into());
                }
            }
        }
    };
    without_tasks(&mut result);
    Ok((session, result))
}

/// Begins the client's session; one that makes room for it says farewell.
fn begin_session(
    caller: &Caller,
    server: &ServerName,
    endpoint: Endpoint,
    handshake: Object,
) -> Result<Arc<Session>, Denied> {
    let gate = &caller.gate;
    let Ok((session, ended)) = gate.sessions.begin(Arc::clone(&caller.run), endpoint, handshake) else {
        let reason =
            "Other runs of this agent have as many sessions open as it may have. Wait for one to end.";
        let refusal = gate.kernel.turn_away(&caller.run, server, "initialize", Code::Overloaded, reason);
        return Err(Denied::Refused(Box::new(refusal)));
    };
    if let Some(ended) = ended {
        gate.say_farewell(ended);
    }
    Ok(session)
}

fn begin_merged(caller: &Caller, handshake: Object) -> Result<(Arc<Session>, Object), Denied> {
    let result = Object::new()
        .with("protocolVersion", handshake.text("protocolVersion").unwrap_or(era::LEGACY))
        .with("capabilities", merged_capabilities())
        .with("serverInfo", discovery::own_name());
    let server = turned_away::no_server().ok_or(UpstreamError::Gone)?;
    let session = begin_session(caller, &server, Endpoint::Merged, handshake)?;
    Ok((session, result))
}

fn merged_capabilities() -> Object {
    let changing = || Object::new().with("listChanged", true);
    Object::new().with("tools", changing()).with("prompts", changing()).with("completions", Object::new())
}

/// Results of tasks would reach the agent on a way that no clearance covers, so nobody is offered tasks.
fn without_tasks(result: &mut Object) {
    let Some(capabilities) = result.get_mut("capabilities").and_then(Value::as_object_mut) else { return };
    capabilities.remove("tasks");
    if let Some(extensions) = capabilities.get_mut("extensions").and_then(Value::as_object_mut) {
        extensions.remove(TASKS);
    }
}

/// The extension for tasks in modern revisions.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Takes the tasks out of what a modern client says it can do.
pub(crate) fn hide_tasks(request: &mut Request) {
    let capabilities = request.params.as_mut().and_then(|params| {
        params.get_mut("_meta")?.as_object_mut()?.get_mut(era::META_CAPABILITIES)?.as_object_mut()
    });
    if let Some(extensions) = capabilities.and_then(|all| all.get_mut("extensions")?.as_object_mut()) {
        extensions.remove(TASKS);
    }
}

/// Answers `server/discover`.
pub(crate) async fn discover(caller: &Caller, endpoint: &Endpoint, request: &Request) -> Response<Outbound> {
    let id = request.id.clone();
    let discovered = match endpoint {
        Endpoint::Merged => discover_merged(caller).await,
        Endpoint::Server(server) => discover_server(caller, server, request).await,
    };
    match discovered {
        Ok(result) => answers::json(caller, &Answer::result(id, result)),
        Err(denied) => denied.respond(caller, Some(id)),
    }
}

async fn discover_server(caller: &Caller, server: &ServerName, request: &Request) -> Result<Object, Denied> {
    let lease = allowed(caller, server, "server/discover")?;
    let asking = async {
        let link = handler::modern_link(caller, &lease, server).await?;
        Ok(link.ask(&caller.gate, Passage::Visit(&lease), request).await?)
    };
    let (status, answer) = handler::while_leased(&lease, asking).await?;
    match answer.outcome {
        Ok(mut result) => {
            era::narrow_versions(&mut result);
            without_tasks(&mut result);
            list::make_private(Era::Modern, &mut result);
            Ok(result)
        }
        Err(_) => Err(Denied::Rejected(Box::new(answer), status)),
    }
}

/// What is under one roof speaks the modern revision if any server does. Where none does, a client that speaks both is
/// told so, and begins a session instead of seeing nothing.
async fn discover_merged(caller: &Caller) -> Result<Object, Denied> {
    let mut only_legacy = None;
    for server in caller.gate.held(&caller.run) {
        match Box::pin(discovery::spoken(&caller.gate, &caller.run.workspace, &server)).await {
            Ok(spoken) if spoken.speaks(Era::Modern) => return Ok(merged_discovery()),
            Ok(spoken) => only_legacy = Some(spoken.refuse(server.as_str(), era::MODERN)),
            // That one is missing from the lists, which say so.
            Err(_) => {}
        }
    }
    only_legacy.map_or_else(|| Ok(merged_discovery()), |fault| Err(fault.into()))
}

fn merged_discovery() -> Object {
    let versions: Vec<Value> =
        [era::MODERN].iter().chain(&era::LEGACY_ALL).map(|version| Value::from(*version)).collect();
    let mut result = Object::new()
        .with("resultType", "complete")
        .with("supportedVersions", versions)
        .with("capabilities", merged_capabilities())
        .with("ttlMs", 0_u64)
        .with("_meta", Object::new().with(era::META_SERVER, discovery::own_name()));
    list::make_private(Era::Modern, &mut result);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_revision_is_answered_with_the_newest_and_tasks_are_not_offered() {
        let params = Object::new()
            .with("protocolVersion", "1999-01-01")
            .with("capabilities", Object::new().with("tasks", Object::new()).with("sampling", Object::new()));
        let request = Request::new(1.into(), "initialize", params);
        let taken = handshake(&request).unwrap();
        assert_eq!(taken.text("protocolVersion"), Some(era::LEGACY));
        assert_eq!(Value::from(taken).get("capabilities").unwrap().to_string(), r#"{"sampling":{}}"#);
        assert!(handshake(&Request::new(1.into(), "initialize", Object::new())).is_err());
    }
}
