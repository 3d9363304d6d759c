//! An agent's request to one server: proposed to the kernel, and executed if it is cleared.

use std::sync::Arc;

use http::{HeaderMap, Response};
use ringfence_json::{Object, Value};
use ringfence_kernel::{Admission, Call, Clearance, Lease, Proposal};
use ringfence_types::{Code, Refusal, ServerName, ToolName};

use super::answers::{self, Denied};
use super::era::{self, Era};
use super::fault::{self, Fault};
use super::flight::{Caller, refused_bytes};
use super::handler::{self, allowed};
use super::list::{self as lists, ListError};
use super::message::{Request, Response as Answer};
use super::method::{Kind, List};
use super::passage::Passage;
use super::refusal::Effect;
use super::session::{Crowded, InFlight};
use super::upstream::UpstreamError;
use super::{discovery, executor, rounds, turned_away};
use crate::http::outbound::{self, Outbound};

/// Proposes an action, and executes it if it is cleared.
pub(crate) async fn call(
    caller: Caller,
    server: ServerName,
    headers: &HeaderMap,
    kind: Kind,
    mut request: Request,
) -> Response<Outbound> {
    if let Err(fault) = check_repeated(&caller, &server, headers, kind, &request) {
        return answers::fault(&caller, &fault, Some(request.id));
    }
    let call = match take_call(kind, &mut request) {
        Ok(call) => call,
        Err(fault) => {
            return turned_away::answer(&caller, &server, kind, &request, Code::InvalidInput, &fault);
        }
    };
    if !caller.gate.rounds.knows(caller.run.id, &server, &call, &caller.gate.limits) {
        let message = "`requestState` and `inputResponses` answer nothing that this tool asked this run for; \
                       call it without them";
        let fault = Fault::answer(fault::INVALID_PARAMS, message);
        return turned_away::error(&caller, &server, kind, &request, Code::InvalidInput, &fault);
    }
    if let Err(denied) = check_era(&caller, &server).await {
        return denied.respond(&caller, Some(request.id));
    }
    let in_flight = match depart(&caller, &request) {
        Ok(in_flight) => in_flight,
        Err(crowded) => return turned_away::crowded(&caller, Some(&server), kind, &request, crowded),
    };
    let proposal = Proposal { run: Arc::clone(&caller.run), server, call };
    match decide(&caller, proposal, in_flight.as_ref()).await {
        Decided::Cleared(clearance) => executor::execute(caller, kind, request, in_flight, clearance).await,
        Decided::Refused(refusal) => refused(&caller, kind, &request, &refusal),
        Decided::CalledOff => {
            let fault = Fault::answer(fault::INTERNAL_ERROR, "the client called the request off");
            answers::fault(&caller, &fault, Some(request.id))
        }
    }
}

enum Decided {
    Cleared(Clearance),
    Refused(Box<Refusal>),
    CalledOff,
}

/// Asks the kernel; waits for a person where one has to agree.
async fn decide(caller: &Caller, proposal: Proposal, in_flight: Option<&InFlight>) -> Decided {
    let admission = match caller.gate.kernel.admit(proposal).await {
        Admission::Pending(pending) => match in_flight {
            None => pending.wait().await,
            Some(in_flight) => tokio::select! {
                biased;
                // The request for approval stands until it expires.
                () = in_flight.called_off.cancelled() => return Decided::CalledOff,
                admission = pending.wait() => admission,
            },
        },
        admission => admission,
    };
    match admission {
        Admission::Cleared(clearance) => Decided::Cleared(clearance),
        Admission::Refused(refusal) => Decided::Refused(Box::new(refusal)),
        // `Pending::wait` answers only with one of the others.
        Admission::Pending(pending) => match Box::pin(pending.wait()).await {
            Admission::Cleared(clearance) => Decided::Cleared(clearance),
            Admission::Refused(refusal) => Decided::Refused(Box::new(refusal)),
            Admission::Pending(_) => Decided::CalledOff,
        },
    }
}

/// The answer to a request that was refused.
pub(crate) fn refused(
    caller: &Caller,
    kind: Kind,
    request: &Request,
    refusal: &Refusal,
) -> Response<Outbound> {
    let body = refused_bytes(caller.era, kind, request, refusal, Effect::Refused);
    outbound::json(http::StatusCode::OK, body, None, caller.gate.limits.piece_bytes)
}

/// Whether the headers of a modern call repeat its arguments as the tool's schema wants it.
fn check_repeated(
    caller: &Caller,
    server: &ServerName,
    headers: &HeaderMap,
    kind: Kind,
    request: &Request,
) -> Result<(), Fault> {
    if caller.era != Era::Modern || kind != Kind::Tool {
        return Ok(());
    }
    let name = request.param("name").and_then(Value::as_str).unwrap_or_default();
    let Some(repeated) = caller.gate.catalog.headers(&caller.run.workspace, server, name) else {
        return Ok(());
    };
    repeated
        .check(headers, request.param("arguments").and_then(Value::as_object))
        .map_err(|message| Fault::bad_request(fault::HEADER_MISMATCH, format!("header mismatch: {message}")))
}

/// A modern call must not reach a legacy server, which might take it for one of its own era.
async fn check_era(caller: &Caller, server: &ServerName) -> Result<(), Denied> {
    let (gate, workspace) = (&caller.gate, &caller.run.workspace);
    // What is not held or not configured, the kernel refuses, and records it.
    let Some(target) = gate.targets.get(workspace, server) else { return Ok(()) };
    if caller.era != Era::Modern || !gate.holds(&caller.run, server) {
        return Ok(());
    }
    let spoken = match gate.eras.get(workspace, server, &target) {
        Some(spoken) => spoken,
        None => match Box::pin(discovery::spoken(gate, workspace, server)).await {
            Ok(spoken) => spoken,
            // That it cannot be reached is said by the executor, on the record.
            Err(_) => return Ok(()),
        },
    };
    if spoken.speaks(Era::Modern) { Ok(()) } else { Err(spoken.refuse(server.as_str(), era::MODERN).into()) }
}

pub(crate) fn depart(caller: &Caller, request: &Request) -> Result<Option<InFlight>, Crowded> {
    let Some(session) = &caller.session else { return Ok(None) };
    session.depart(&request.id, &caller.gate.limits).map(Some)
}

/// The action that a request asks for. Its arguments are taken out, and put back as they were decided.
pub(crate) fn take_call(kind: Kind, request: &mut Request) -> Result<Call, Fault> {
    let invalid = |message: &str| Fault::answer(fault::INVALID_PARAMS, message);
    let mut nothing = Object::new();
    let params = request.params.as_mut().unwrap_or(&mut nothing);
    if params.contains("task") {
        return Err(invalid("tasks are not supported here: call the tool without `task`"));
    }
    let text = |params: &Object, name: &'static str| {
        params.text(name).map(str::to_owned).ok_or_else(|| invalid(&format!("`{name}` has to be a string")))
    };
    match kind {
        Kind::Tool => {
            let tool = ToolName::new(&text(params, "name")?)
                .map_err(|error| invalid(&format!("`name`: {error}")))?;
            let arguments = take_arguments(params).map_err(invalid)?;
            Ok(Call::Tool { tool, arguments, continuation: rounds::take(params) })
        }
        Kind::Prompt => {
            let name = text(params, "name")?;
            let arguments = take_arguments(params).map_err(invalid)?;
            Ok(Call::Prompt { name, arguments, continuation: rounds::take(params) })
        }
        Kind::Resource => {
            Ok(Call::Resource { uri: text(params, "uri")?, continuation: rounds::take(params) })
        }
        Kind::Other(method) => {
            let mut parameters = params.clone();
            parameters.remove("_meta");
            Ok(Call::Other { method, parameters })
        }
        _ => Err(Fault::answer(fault::INTERNAL_ERROR, "this is no action")),
    }
}

fn take_arguments(params: &mut Object) -> Result<Object, &'static str> {
    match params.get_mut("arguments") {
        None => Ok(Object::new()),
        Some(Value::Object(arguments)) => Ok(std::mem::take(arguments)),
        Some(_) => Err("`arguments` has to be an object"),
    }
}

/// Answers a list of one server.
pub(crate) async fn list(
    caller: &Caller,
    server: &ServerName,
    list: &'static List,
    request: Request,
) -> Response<Outbound> {
    match list_server(caller, server, list, &request).await {
        Ok((result, lease)) => answers::json_held(caller, &Answer::result(request.id, result), lease),
        Err(denied) => denied.respond(caller, Some(request.id)),
    }
}

async fn list_server(
    caller: &Caller,
    server: &ServerName,
    list: &'static List,
    request: &Request,
) -> Result<(Object, Lease), Denied> {
    if request.param("cursor").is_some_and(|cursor| !cursor.is_null()) {
        // Lists are given whole, so there is no such place.
        return Err(Fault::answer(fault::INVALID_PARAMS, "an unknown cursor").into());
    }
    let lease = allowed(caller, server, list.method)?;
    let nothing = Object::new();
    let params = request.params.as_ref().unwrap_or(&nothing);
    let fetching = async {
        let link = handler::link(caller, &lease, server).await?;
        let fetched = async {
            let mut listed = lists::fetch(&caller.gate, Passage::Visit(&lease), &link, list, params).await?;
            lists::filter(&caller.gate, &caller.run, server, list, &mut listed).await?;
            Ok::<_, ListError>(lists::result(caller.era, list, listed))
        };
        fetched.await.map_err(|error| denied(caller, error))
    };
    let result = handler::while_leased(&lease, fetching).await?;
    Ok((result, lease))
}

fn denied(caller: &Caller, error: ListError) -> Denied {
    match error {
        ListError::Upstream(UpstreamError::SessionGone) => {
            if let Some(session) = &caller.session {
                caller.gate.sessions.end(session);
            }
            UpstreamError::SessionGone.into()
        }
        ListError::Upstream(error) => error.into(),
        ListError::Rejected(answer, status) => Denied::Rejected(answer, status),
        ListError::Ledger => {
            Fault::answer(fault::REFUSED, "The log cannot take a record, so nothing may happen now.").into()
        }
    }
}

/// Answers `logging/setLevel`.
pub(crate) async fn log_level(caller: &Caller, server: &ServerName, request: Request) -> Response<Outbound> {
    let id = request.id.clone();
    match set_log_level(caller, server, request).await {
        Ok(answer) => answers::json(caller, &answer),
        Err(denied) => denied.respond(caller, Some(id)),
    }
}

async fn set_log_level(caller: &Caller, server: &ServerName, request: Request) -> Result<Answer, Denied> {
    let Some(level) = request.param("level").filter(|level| executor::is_log_level(Some(level))) else {
        return Err(Fault::answer(fault::INVALID_PARAMS, "`level` is not a log level").into());
    };
    let lease = allowed(caller, server, &request.method)?;
    // Nothing but the word itself goes on.
    let own = Request::new(lists::next_id(), "logging/setLevel", Object::new().with("level", level.clone()));
    let asking = async {
        let link = handler::link(caller, &lease, server).await?;
        Ok(link.ask(&caller.gate, Passage::Visit(&lease), &own).await?)
    };
    let (_, answer) = handler::while_leased(&lease, asking).await?;
    Ok(Answer { id: Some(request.id), ..answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(kind: Kind, params: &str) -> Result<Call, i32> {
        let params = ringfence_json::parse(params.as_bytes(), &ringfence_json::Limits::default()).unwrap();
        let mut request = Request::new(1.into(), "x", params.into_object().unwrap());
        take_call(kind, &mut request).map_err(|fault| fault.code)
    }

    #[test]
    fn a_request_is_taken_for_the_action_it_asks_for_or_refused() {
        let arguments = Object::new().with("n", 1_u64);
        let tool = ToolName::new("t").unwrap();
        assert_eq!(
            taken(Kind::Tool, r#"{"name":"t","arguments":{"n":1}}"#),
            Ok(Call::Tool { tool: tool.clone(), arguments, continuation: None })
        );
        assert_eq!(
            taken(Kind::Tool, r#"{"name":"t"}"#),
            Ok(Call::Tool { tool, arguments: Object::new(), continuation: None })
        );
        assert_eq!(
            taken(Kind::Resource, r#"{"uri":"a:b"}"#),
            Ok(Call::Resource { uri: "a:b".into(), continuation: None })
        );
        for (kind, wrong) in [
            (Kind::Tool, "{}"),
            (Kind::Tool, r#"{"name":7}"#),
            (Kind::Tool, r#"{"name":"a\nb"}"#),
            (Kind::Tool, r#"{"name":"t","arguments":[]}"#),
            (Kind::Tool, r#"{"name":"t","arguments":null}"#),
            (Kind::Tool, r#"{"name":"t","task":{}}"#),
            (Kind::Resource, r#"{"uri":1}"#),
            (Kind::Prompt, r#"{"name":"p","arguments":"x"}"#),
        ] {
            assert_eq!(taken(kind, wrong), Err(fault::INVALID_PARAMS), "{wrong}");
        }
    }
}
