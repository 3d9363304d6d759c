//! `/mcp`: the tools and prompts of all servers that the agent holds, under one roof.
//!
//! A server that is dead takes nothing with it but its own: the list says which is missing.

use http::{HeaderMap, Response};
use ringfence_json::{Object, Value};
use ringfence_types::ServerName;
use tokio::task::JoinSet;

use super::answers::{self, Denied};
use super::endpoint::Endpoint;
use super::fault::{self, Fault};
use super::flight::Caller;
use super::handler;
use super::list::{self as lists, ListError, Listed};
use super::message::{Request, Response as Answer};
use super::method::{Kind, List};
use super::passage::Passage;
use super::{call as calls, names, turned_away};
use crate::http::outbound::Outbound;
use crate::spawn::tools::{self, Own};

/// The member of `_meta` that says which servers a list is missing, and why.
pub const MISSING: &str = "dev.ringfence/missing";

/// Answers a list of tools or prompts.
pub(crate) async fn list(caller: &Caller, list: &'static List, request: Request) -> Response<Outbound> {
    if list.member != "tools" && list.member != "prompts" {
        // Two servers may mean different things by one URI.
        let fault = Fault::method_not_found(caller.era, &request.method);
        return answers::fault(caller, &fault, Some(request.id));
    }
    if request.param("cursor").is_some_and(|cursor| !cursor.is_null()) {
        let fault = Fault::answer(fault::INVALID_PARAMS, "an unknown cursor");
        return answers::fault(caller, &fault, Some(request.id));
    }
    let lease = match turned_away::lease_on_all(caller, list.method) {
        Ok(lease) => lease,
        Err(denied) => return denied.respond(caller, Some(request.id)),
    };
    let gathering = async { Ok(gather(caller, list, &request).await) };
    match handler::while_leased(&lease, gathering).await {
        Ok(result) => answers::json_held(caller, &Answer::result(request.id, result), lease),
        Err(denied) => denied.respond(caller, Some(request.id)),
    }
}

/// Fetches the lists of all servers at once.
async fn gather(caller: &Caller, list: &'static List, request: &Request) -> Object {
    let params = request.params.clone().unwrap_or_default();
    let mut fetching = JoinSet::new();
    for server in caller.gate.held(&caller.run) {
        let (caller, params) = (caller.clone(), params.clone());
        fetching.spawn(async move {
            let listed = one(&caller, &server, list, &params).await;
            (server, listed)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = fetching.join_next().await {
        match done {
            Ok(one) => all.push(one),
            Err(error) => tracing::error!(%error, "a list was not fetched"),
        }
    }
    all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    assemble(caller, list, all)
}

/// One server's list, under the names of `/mcp`. `Err` says why it is missing.
async fn one(
    caller: &Caller,
    server: &ServerName,
    list: &'static List,
    params: &Object,
) -> Result<Listed, &'static str> {
    let lease = handler::allowed(caller, server, list.method).map_err(|_| "suspended")?;
    let fetching = async {
        let link = handler::link(caller, &lease, server).await.map_err(|denied| reason(&denied))?;
        let mut listed = match lists::fetch(&caller.gate, Passage::Visit(&lease), &link, list, params).await {
            Ok(listed) => listed,
            Err(error) if error.is_unknown_method() => Listed { elements: Vec::new(), rest: Object::new() },
            Err(_) => return Err("it did not answer"),
        };
        let filtered = lists::filter(&caller.gate, &caller.run, server, list, &mut listed).await;
        filtered.map_err(|error| {
            if matches!(error, ListError::Ledger) { "the log is away" } else { "it did not answer" }
        })?;
        Ok(listed)
    };
    let mut listed = tokio::select! {
        biased;
        _ = lease.cancel().cancelled() => return Err("suspended"),
        listed = fetching => listed?,
    };
    rename(caller, server, &mut listed);
    Ok(listed)
}

fn reason(denied: &Denied) -> &'static str {
    match denied {
        Denied::Fault(fault) if fault.code == fault::UNSUPPORTED_VERSION => {
            "it speaks another era of the protocol"
        }
        Denied::Fault(_) | Denied::Rejected(..) => "it did not answer",
        Denied::Refused(_) => "suspended",
    }
}

fn rename(caller: &Caller, server: &ServerName, listed: &mut Listed) {
    let names = listed.elements.iter().filter_map(|element| element.get("name")?.as_str());
    caller.gate.catalog.put_names(&caller.run.workspace, server, names);
    for element in &mut listed.elements {
        let Some(name) = element.as_object_mut().and_then(|element| element.get_mut("name")) else {
            continue;
        };
        let exposed = names::exposed(server, name.as_str().unwrap_or_default());
        *name = exposed.into();
    }
}

fn assemble(caller: &Caller, list: &List, all: Vec<(ServerName, Result<Listed, &'static str>)>) -> Object {
    let own = if list.member == "tools" { caller.gate.own_tools(&caller.run) } else { Vec::new() };
    let mut whole = Listed { elements: own, rest: Object::new() };
    let mut missing: Vec<Value> = Vec::new();
    let mut ttl_ms = None;
    for (server, listed) in all {
        match listed {
            Ok(listed) => {
                // The whole is as fresh as its least fresh part.
                let own = listed.rest.get("ttlMs").and_then(Value::as_u64);
                ttl_ms = ttl_ms.into_iter().chain(own).min();
                whole.elements.extend(listed.elements);
            }
            Err(reason) => missing.push(Object::new().with("server", &server).with("reason", reason).into()),
        }
    }
    if caller.session.is_none() {
        let fresh = if missing.is_empty() { ttl_ms.unwrap_or(0) } else { 0 };
        whole.rest.insert("resultType", "complete");
        whole.rest.insert("ttlMs", fresh);
    }
    if !missing.is_empty() {
        whole.rest.insert("_meta", Object::new().with(MISSING, missing));
    }
    lists::result(caller.era, list, whole)
}

/// Calls a tool, gets a prompt, or completes an argument of one.
pub(crate) async fn call(
    caller: Caller,
    headers: &HeaderMap,
    kind: Kind,
    mut request: Request,
) -> Response<Outbound> {
    debug_assert!(caller.session.as_ref().is_none_or(|session| session.endpoint == Endpoint::Merged));
    let own = request.param("name").and_then(Value::as_str).and_then(Own::of_name);
    if let Some(own) = own.filter(|_| kind == Kind::Tool) {
        return Box::pin(tools::call(caller, own, request)).await;
    }
    let Some(name) = named(kind, &mut request) else {
        let fault = Fault::method_not_found(caller.era, &request.method);
        return answers::fault(&caller, &fault, Some(request.id));
    };
    let exposed = name.as_str().unwrap_or_default();
    let Some((server, own)) = caller.gate.catalog.resolve(&caller.run.workspace, exposed) else {
        return turned_away::unknown(&caller, kind, &request);
    };
    *name = Value::String(own);
    calls::call(caller, server, headers, kind, request).await
}

/// The name that a request on `/mcp` is about; `None` for what is not here.
fn named(kind: Kind, request: &mut Request) -> Option<&mut Value> {
    let params = request.params.as_mut();
    match kind {
        Kind::Tool | Kind::Prompt => params?.get_mut("name"),
        Kind::Other("completion/complete") => {
            let reference = params?.get_mut("ref")?.as_object_mut()?;
            if reference.text("type") != Some("ref/prompt") {
                return None;
            }
            reference.get_mut("name")
        }
        _ => None,
    }
}
