//! Requests for actions that never become proposals, because of what is wrong with them: refused in the way of every
//! refusal, and recorded like one.

use http::Response;
use ringfence_json::Value;
use ringfence_kernel::Lease;
use ringfence_types::{Code, NAME_BYTES_MAX, Refusal, ServerName};

use super::answers::{self, Denied};
use super::call::refused;
use super::endpoint::Endpoint;
use super::fault::{self, Fault};
use super::flight::Caller;
use super::message::Request;
use super::method::Kind;
use super::session::Crowded;
use crate::http::outbound::Outbound;

/// The answer to what is no proposal because of what is wrong with it: on the record, and, for a tool call, in the way
/// of every refusal. Other requests get the error that their revision has for it.
pub(crate) fn answer(
    caller: &Caller,
    server: &ServerName,
    kind: Kind,
    request: &Request,
    code: Code,
    fault: &Fault,
) -> Response<Outbound> {
    if kind == Kind::Tool {
        let refusal = record(caller, server, kind, request, code, fault);
        return refused(caller, kind, request, &refusal);
    }
    error(caller, server, kind, request, code, fault)
}

/// As [`answer`], as a protocol error also for a tool call: what answers an earlier round and does not fit it is one
/// to servers (MCP 2026-07-28, "Multi Round-Trip Requests").
pub(crate) fn error(
    caller: &Caller,
    server: &ServerName,
    kind: Kind,
    request: &Request,
    code: Code,
    fault: &Fault,
) -> Response<Outbound> {
    let refusal = record(caller, server, kind, request, code, fault);
    let fault = Fault { data: Some(refusal.to_object()), ..fault.clone() };
    answers::fault(caller, &fault, Some(request.id.clone()))
}

/// The answer to a request for which there is no room in its session, or of which there is one already.
pub(crate) fn crowded(
    caller: &Caller,
    server: Option<&ServerName>,
    kind: Kind,
    request: &Request,
    crowded: Crowded,
) -> Response<Outbound> {
    let id = Some(request.id.clone());
    if matches!(crowded, Crowded::Twice) {
        let message = "a request of this `id` is under way already";
        return answers::fault(caller, &Fault::bad_request(fault::INVALID_REQUEST, message), id);
    }
    let message = "too many requests are under way in this session; wait for one to end";
    let fault = Fault::answer(fault::REFUSED, message);
    match server.cloned().or_else(no_server) {
        Some(server) => answer(caller, &server, kind, request, Code::Overloaded, &fault),
        None => answers::fault(caller, &fault, id),
    }
}

fn record(
    caller: &Caller,
    server: &ServerName,
    kind: Kind,
    request: &Request,
    code: Code,
    fault: &Fault,
) -> Refusal {
    let what = match kind {
        Kind::Tool => shown_name(request.param("name")),
        _ => request.method.to_string(),
    };
    caller.gate.kernel.turn_away(&caller.run, server, &what, code, sentence(&fault.message))
}

/// What an agent called a tool, as far as it can be recorded.
fn shown_name(name: Option<&Value>) -> String {
    let name = name.and_then(Value::as_str).unwrap_or("tools/call");
    let mut shown = String::new();
    for character in name.chars().filter(|character| !character.is_control()) {
        if shown.len() + character.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        shown.push(character);
    }
    shown
}

fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

/// The answer to a request with a parameter that its method does not have.
pub(crate) fn misfit(
    caller: &Caller,
    endpoint: &Endpoint,
    kind: Kind,
    request: &Request,
    fault: &Fault,
) -> Response<Outbound> {
    let is_action = matches!(kind, Kind::Tool | Kind::Prompt | Kind::Resource | Kind::Other(_));
    let server = match endpoint {
        Endpoint::Server(server) => Some(server.clone()),
        Endpoint::Merged => {
            let exposed = request.param("name").and_then(Value::as_str).unwrap_or_default();
            let known = caller.gate.catalog.resolve(&caller.run.workspace, exposed);
            known.map(|(server, _)| server).or_else(no_server)
        }
    };
    match server {
        Some(server) if is_action => answer(caller, &server, kind, request, Code::InvalidInput, fault),
        _ => answers::fault(caller, fault, Some(request.id.clone())),
    }
}

/// The answer to a call on `/mcp` of what no server has: a model that made the name up reads this and can go on.
pub(crate) fn unknown(caller: &Caller, kind: Kind, request: &Request) -> Response<Outbound> {
    let message = "there is nothing of this name; names here are `{server}__{name}`, as the lists give them";
    let fault = Fault::answer(fault::INVALID_PARAMS, message);
    match no_server() {
        Some(server) => answer(caller, &server, kind, request, Code::NotGranted, &fault),
        None => answers::fault(caller, &fault, Some(request.id.clone())),
    }
}

/// Whether a run may ask all its servers for something that is no action; a refusal is recorded under the path.
pub(crate) fn lease_on_all(caller: &Caller, method: &str) -> Result<Lease, Denied> {
    let kernel = &caller.gate.kernel;
    kernel.lease(&caller.run, None).map_err(|refusal| {
        let recorded = no_server().map(|server| {
            kernel.turn_away(&caller.run, &server, method, refusal.code, refusal.reason.as_str())
        });
        Denied::Refused(Box::new(recorded.unwrap_or(refusal)))
    })
}

/// Where refusals of what names no server are recorded: under the path that it came on.
pub(crate) fn no_server() -> Option<ServerName> {
    ServerName::new("mcp").ok()
}
