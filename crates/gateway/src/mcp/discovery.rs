//! What the node asks of a server on its own behalf: which revisions it speaks, and which tools it has.

use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_kernel::Errand;
use ringfence_types::{ServerName, ToolName, WorkspaceName};

use super::era::{self, Era, Spoken};
use super::fault;
use super::link::{self, Greeting, Link};
use super::list::{self, ListError};
use super::message::{Request, Response};
use super::method::TOOLS;
use super::passage::Passage;
use super::upstream::UpstreamError;
use super::upstream::child::Child;
use super::upstream::children::greet;
use super::upstream::http::{self, Address};
use crate::gate::Gate;
use crate::targets::{HttpTarget, StdioTarget, Target};

/// What a server was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The revisions of MCP that it and the gate both speak, newest first.
    pub versions: Vec<String>,
    /// Its tools, also those that are not pinned.
    pub tools: Vec<ToolName>,
}

/// Why a server could not be looked at: a sentence in this program's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DiscoverError(String);

/// Which revisions a server speaks: known from before, or asked now.
pub(crate) async fn spoken(
    gate: &Gate,
    workspace: &WorkspaceName,
    server: &ServerName,
) -> Result<Arc<Spoken>, UpstreamError> {
    let target = gate.target(workspace, server)?;
    if let Some(spoken) = gate.eras.get(workspace, server, &target) {
        return Ok(spoken);
    }
    let errand = gate.kernel.errand(workspace, server).ok_or(UpstreamError::Gone)?;
    let look = gate.looks.of(workspace, server);
    let _turn = look.turn().await;
    // Whoever had the turn before may have found it out, or that there is nobody to ask.
    if let Some(spoken) = gate.eras.get(workspace, server, &target) {
        return Ok(spoken);
    }
    look.check()?;
    let probed = match &target {
        Target::Http(target) => probe_http(gate, &errand, target).await,
        Target::Stdio(target) => match gate.children.start_own(workspace, server, target).await {
            Ok(child) => probe_child(gate, &errand, &child).await,
            Err(error) => Err(error),
        },
    };
    match probed {
        Ok(spoken) => {
            look.went_well();
            Ok(gate.eras.put(workspace, server, target, spoken))
        }
        Err(error) => {
            look.failed(&gate.limits);
            Err(error)
        }
    }
}

/// Lists a server's tools and has the kernel note them.
pub(crate) async fn discover(
    gate: &Gate,
    workspace: &WorkspaceName,
    server: &ServerName,
) -> Result<Discovered, DiscoverError> {
    let failed = |error: UpstreamError| DiscoverError(error.to_string());
    let errand = gate.kernel.errand(workspace, server).ok_or(UpstreamError::Gone).map_err(failed)?;
    let target = gate.target(workspace, server).map_err(failed)?;
    // One look at a time; what was known holds until more is known.
    let look = gate.looks.of(workspace, server);
    let _turn = look.turn().await;
    let (spoken, listed) = match &target {
        Target::Http(target) => look_http(gate, &errand, target).await.map_err(described)?,
        Target::Stdio(target) => look_child(gate, &errand, target).await?,
    };
    look.went_well();
    let spoken = gate.eras.put(workspace, server, target, spoken);
    let tools = list::note(gate, workspace, server, &listed).await.map_err(described)?;
    Ok(Discovered {
        versions: spoken.versions().into_iter().map(str::to_owned).collect(),
        tools: tools.iter().map(|tool| tool.name.clone()).collect(),
    })
}

fn described(error: ListError) -> DiscoverError {
    DiscoverError(match error {
        ListError::Upstream(error) => error.to_string(),
        ListError::Rejected(..) => "the tool server answered with an error".to_owned(),
        ListError::Ledger => "the log cannot take a record".to_owned(),
    })
}

/// Looks at a server again in a while, in a task of its own: it said that its tools changed.
pub(crate) fn refresh(gate: &Arc<Gate>, workspace: &WorkspaceName, server: &ServerName) {
    let look = gate.looks.of(workspace, server);
    let Some(wait) = look.plan(&gate.limits) else { return };
    let (gate, workspace, server) = (Arc::clone(gate), workspace.clone(), server.clone());
    tokio::spawn(async move {
        // One look serves all that is said in a while; what changes while it is taken is looked at once more.
        tokio::time::sleep(wait).await;
        look.begin();
        if let Err(error) = discover(&gate, &workspace, &server).await {
            tracing::warn!(%workspace, %server, %error, "a server's changed tools could not be listed");
        }
    });
}

/// The metadata of the node's own modern requests.
fn own_params() -> Object {
    let meta = Object::new()
        .with(era::META_VERSION, era::MODERN)
        .with(era::META_CLIENT, own_name())
        .with(era::META_CAPABILITIES, Object::new());
    Object::new().with("_meta", meta)
}

/// The parameters of the node's own legacy handshake.
fn own_handshake() -> Object {
    Object::new()
        .with("protocolVersion", era::LEGACY)
        .with("capabilities", Object::new())
        .with("clientInfo", own_name())
}

/// What the gate calls itself.
pub(crate) fn own_name() -> Object {
    Object::new().with("name", "ringfence").with("version", env!("CARGO_PKG_VERSION"))
}

fn own_address(target: &Arc<HttpTarget>) -> Link {
    let revision = Some(era::MODERN.into());
    Link::Http(Address { target: Arc::clone(target), revision, session: None })
}

async fn probe_http(gate: &Gate, errand: &Errand, target: &Arc<HttpTarget>) -> Result<Spoken, UpstreamError> {
    let request = Request::new(list::next_id(), "server/discover", own_params());
    let link = own_address(target);
    match link.ask(gate, Passage::Own(errand), &request).await {
        Ok((_, answer)) => Ok(interpret(&answer)),
        // What is no modern answer is a legacy server's (MCP 2026-07-28, Streamable HTTP, "Backward Compatibility").
        Err(UpstreamError::Malformed(_)) => Ok(Spoken::legacy()),
        Err(error) => Err(error),
    }
}

async fn probe_child(gate: &Gate, errand: &Errand, child: &Arc<Child>) -> Result<Spoken, UpstreamError> {
    let request = Request::new(list::next_id(), "server/discover", own_params());
    let probing = async {
        let id = request.id.clone();
        let exchange = child.request(Passage::Own(errand), request, None, false).await?;
        link::answer(Some(super::upstream::Exchange::Child(exchange)), &id, &gate.limits).await
    };
    match tokio::time::timeout(gate.limits.probe_time, probing).await {
        Ok(Ok(answer)) => Ok(interpret(&answer)),
        // Legacy servers may say nothing at all before the handshake (stdio, "Backward Compatibility").
        Err(_) | Ok(Err(UpstreamError::Malformed(_))) => Ok(Spoken::legacy()),
        Ok(Err(error)) => Err(error),
    }
}

/// What an answer to `server/discover` says of a server.
fn interpret(answer: &Response) -> Spoken {
    let versions = |object: &Object, member: &str| {
        object.get(member).and_then(Value::as_array).map(Spoken::from_versions)
    };
    match &answer.outcome {
        Ok(result) => versions(result, "supportedVersions").unwrap_or_else(Spoken::legacy),
        Err(error) => {
            let code = error.get("code").and_then(Value::as_number).and_then(ringfence_json::Number::as_i64);
            let supported =
                error.get("data").and_then(Value::as_object).and_then(|data| versions(data, "supported"));
            match (code.and_then(|code| i32::try_from(code).ok()), supported) {
                (Some(fault::UNSUPPORTED_VERSION), Some(spoken)) => spoken,
                (Some(fault::HEADER_MISMATCH | fault::MISSING_CAPABILITY), _) => {
                    Spoken { modern: true, legacy: Vec::new() }
                }
                _ => Spoken::legacy(),
            }
        }
    }
}

async fn look_http(
    gate: &Gate,
    errand: &Errand,
    target: &Arc<HttpTarget>,
) -> Result<(Spoken, Vec<Value>), ListError> {
    let spoken = probe_http(gate, errand, target).await?;
    if spoken.speaks(Era::Modern) {
        return Ok((spoken, tools(gate, errand, &own_address(target), &own_params()).await?));
    }
    let Greeting::Welcome(welcome, result) =
        link::greet(gate, Passage::Own(errand), target, own_handshake()).await?
    else {
        return Err(UpstreamError::Handshake.into());
    };
    let address = welcome.address(target);
    let listed = if has_tools(&result) {
        tools(gate, errand, &Link::Http(address.clone()), &Object::new()).await
    } else {
        Ok(Vec::new())
    };
    let farewell = http::end_session(&gate.wires, &address);
    if tokio::time::timeout(gate.limits.connect_time, farewell).await.is_err() {
        tracing::debug!("an upstream did not say whether it ended a session");
    }
    Ok((spoken, listed?))
}

async fn look_child(
    gate: &Gate,
    errand: &Errand,
    target: &StdioTarget,
) -> Result<(Spoken, Vec<Value>), DiscoverError> {
    let child = gate
        .children
        .start_own(errand.workspace(), errand.server(), target)
        .await
        .map_err(|error| described(error.into()))?;
    match ask_child(gate, errand, &child).await {
        Ok(found) => Ok(found),
        Err(error) => {
            let DiscoverError(what) = described(error);
            let said = child.last_words().await;
            let said = if said.is_empty() { said } else { format!("; it said last: {said}") };
            Err(DiscoverError(what + &said))
        }
    }
}

async fn ask_child(
    gate: &Gate,
    errand: &Errand,
    child: &Arc<Child>,
) -> Result<(Spoken, Vec<Value>), ListError> {
    let spoken = probe_child(gate, errand, child).await?;
    let link = Link::Child(Arc::clone(child));
    if spoken.speaks(Era::Modern) {
        return Ok((spoken, tools(gate, errand, &link, &own_params()).await?));
    }
    greet(child, Passage::Own(errand), own_handshake(), &gate.limits).await?;
    if !child.handshake().as_ref().is_some_and(has_tools) {
        return Ok((spoken, Vec::new()));
    }
    Ok((spoken, tools(gate, errand, &link, &Object::new()).await?))
}

/// A server's tools; none where it does not know the method.
async fn tools(gate: &Gate, errand: &Errand, link: &Link, params: &Object) -> Result<Vec<Value>, ListError> {
    match list::fetch(gate, Passage::Own(errand), link, &TOOLS, params).await {
        Ok(listed) => Ok(listed.elements),
        Err(error) if error.is_unknown_method() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether a server said in its handshake that it has tools.
fn has_tools(result: &Object) -> bool {
    result.get("capabilities").is_some_and(|capabilities| capabilities.get("tools").is_some())
}
