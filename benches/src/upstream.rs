//! A tool server that costs as little as it can, so that what is measured is the gate: one thread, JSON answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::events::Events;
use crate::failure::Failure;
use crate::wire::{STREAM, TOOL};

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// As much of a message as an answer needs.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    id: Option<Value>,
    #[serde(borrow)]
    method: &'a str,
    #[serde(default, borrow)]
    params: Params<'a>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    #[serde(default, borrow)]
    name: &'a str,
    #[serde(default, borrow)]
    arguments: Arguments<'a>,
}

#[derive(Default, Deserialize)]
struct Arguments<'a> {
    #[serde(default, borrow)]
    app: &'a str,
    #[serde(default)]
    pause_ms: u64,
}

/// Starts the server on a free port, on a thread of its own that ends with the process.
pub fn start() -> Result<SocketAddr, Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("upstream".to_owned())
        .spawn(move || runtime.block_on(serve(listener)))?;
    Ok(address)
}

async fn serve(listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("upstream: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            Err(error) => eprintln!("upstream: {error}"),
        }
    }
}

async fn connection(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    // A connection that breaks off is the client's business.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let (parts, body) = request.into_parts();
    if parts.method != http::Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let body = body.collect().await?.to_bytes();
    Ok(match serde_json::from_slice::<Message>(&body) {
        Ok(message) => answered(&parts.headers, &message),
        Err(_) => empty(StatusCode::BAD_REQUEST),
    })
}

fn answered(headers: &HeaderMap, message: &Message) -> Answer {
    let modern = headers.get("mcp-protocol-version").is_some_and(|version| version == "2026-07-28");
    let Some(id) = &message.id else { return empty(StatusCode::ACCEPTED) };
    match message.method {
        "tools/call" if message.params.name == TOOL => deployed(id, message.params.arguments.app, modern),
        "tools/call" if message.params.name == STREAM => stream(message.params.arguments.pause_ms),
        "tools/list" => result(id, &tools(), modern),
        "server/discover" => result(id, &discovered(), true),
        "initialize" => initialized(id),
        "ping" => result(id, &json!({}), modern),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

/// Written by hand: this is what every measured call passes.
fn deployed(id: &Value, app: &str, modern: bool) -> Answer {
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{{kind}"content":[{{"type":"text","text":"{app} is deployed: 5 replicas of shop:1.2.3 in staging, 5 ready, 0 restarts, no warnings in the last minute; the rollout took 41 seconds and replaced revision 17 by revision 18."}}]}}}}"#
    );
    whole(text)
}

fn result(id: &Value, result: &Value, modern: bool) -> Answer {
    let mut result = result.clone();
    if modern {
        result["resultType"] = json!("complete");
        result["ttlMs"] = json!(0);
        result["cacheScope"] = json!("public");
    }
    whole(json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

fn discovered() -> Value {
    json!({
        "supportedVersions": ["2026-07-28", "2025-11-25"],
        "capabilities": { "tools": {} },
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "ringfence-benches", "version": "1" } },
    })
}

fn initialized(id: &Value) -> Answer {
    let result_of = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "ringfence-benches", "version": "1" },
    });
    let mut answer = result(id, &result_of, false);
    answer.headers_mut().insert("mcp-session-id", http::HeaderValue::from_static("the-only-session"));
    answer
}

fn tools() -> Value {
    let text = json!({ "type": "string", "maxLength": 300 });
    json!({ "tools": [
        {
            "name": TOOL,
            "description": "Deploys an application.",
            "inputSchema": {
                "type": "object",
                "required": ["app", "replicas"],
                "properties": {
                    "app": { "type": "string", "pattern": "^[a-z0-9-]+$" },
                    "replicas": { "type": "integer", "minimum": 1 },
                    "namespace": { "type": "string", "default": "staging" },
                    "image": text,
                    "note": text,
                },
                "additionalProperties": false,
            },
        },
        {
            "name": STREAM,
            "description": "Tells how a deployment goes on, without end.",
            "annotations": { "readOnlyHint": true },
            "inputSchema": {
                "type": "object",
                "properties": { "pause_ms": { "type": "integer", "minimum": 1 } },
                "additionalProperties": false,
            },
        },
    ] })
}

fn whole(text: String) -> Answer {
    let mut answer = Response::new(BodyExt::boxed(Full::new(text.into())));
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(BodyExt::boxed(Full::default()));
    *answer.status_mut() = status;
    answer
}

fn stream(pause_ms: u64) -> Answer {
    let events = Events::every(Duration::from_millis(pause_ms.max(1)));
    let mut answer = Response::new(BodyExt::boxed(events));
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    answer
}
