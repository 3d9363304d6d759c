//! `tools/call`: each tool in the way its name says.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::body::{Filled, Pieces};
use super::protocol::answer;
use super::state::{Running, Server};

/// A gibibyte: more than any reader should hold.
const HUGE_BYTES: u64 = 1 << 30;

/// Deeper than any honest result.
const DEEP_LEVELS: usize = 100_000;

/// Executes one call and answers, after a fashion.
pub async fn call(server: &Arc<Server>, id: &Value, params: &Value, modern: bool) -> Response {
    let name = params["name"].as_str().unwrap_or_default();
    let arguments = &params["arguments"];
    let running = server.started();
    if let Err(error) = server.calls.execute(name, arguments).await {
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    if let Some(response) = never_ends(name, arguments, params, id, server, modern) {
        return response(running);
    }
    if name == "hang" {
        return pending().await;
    }
    let response = at_once(name, arguments, id, modern);
    running.finish();
    response
}

/// Answers that are complete when they are made.
fn at_once(name: &str, arguments: &Value, id: &Value, modern: bool) -> Response {
    let said = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
    match name {
        "echo" | "record" | "record_asked" => {
            answer(id, said(arguments["text"].as_str().unwrap_or("done")), modern)
        }
        "garbage" => json_text("\u{fffd}{{{ this is not JSON".to_owned()),
        "not_json_rpc" => json_text(json!({ "hello": "world" }).to_string()),
        "wrong_id" => answer(&json!("an id nobody sent"), said("for somebody else"), modern),
        "duplicate_keys" => json_text(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"isError":true,"isError":false}}}}"#
        )),
        "invalid_structured" => {
            let mut result = said("many");
            result["structuredContent"] = json!({ "count": "many" });
            answer(id, result, modern)
        }
        "server_error" => (StatusCode::INTERNAL_SERVER_ERROR, "secret stack trace").into_response(),
        "redirect" => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:9/mcp")]).into_response()
        }
        "wrong_type" => ([(header::CONTENT_TYPE, "text/html")], "<h1>It works!</h1>").into_response(),
        "batch" => {
            json_text(json!([{ "jsonrpc": "2.0", "id": id, "result": said("in a list") }]).to_string())
        }
        "deep" => json_text(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"structuredContent":{}{}}}}}"#,
            "[".repeat(DEEP_LEVELS),
            "]".repeat(DEEP_LEVELS),
        )),
        "two_results" => {
            let message =
                |text: &str| event(&json!({ "jsonrpc": "2.0", "id": id, "result": said(text) }).to_string());
            stream(Body::from(message("first") + &message("second")))
        }
        "cut_body" => short_body(id),
        _ => json_text(
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32602, "message": "Unknown tool" } })
                .to_string(),
        ),
    }
}

/// Answers that take their time; each gets the guard that tells whether it came to its end.
fn never_ends(
    name: &str,
    arguments: &Value,
    params: &Value,
    id: &Value,
    server: &Arc<Server>,
    modern: bool,
) -> Option<Box<dyn FnOnce(Running) -> Response>> {
    let id = id.clone();
    Some(match name {
        "hang_in_stream" => {
            Box::new(move |running| events(running, |pieces, _| async move { pieces.closed().await }))
        }
        "cut_stream" => Box::new(move |running| {
            events(running, |pieces, _| async move {
                pieces.send(event(&progress(&Value::Null, 1).to_string())).await;
                pieces.cut().await;
            })
        }),
        "slow" | "endless" => {
            let endless = name == "endless";
            let total = arguments["events"].as_u64().unwrap_or(20);
            let pause = Duration::from_millis(arguments["pause_ms"].as_u64().unwrap_or(50));
            let token = params["_meta"]["progressToken"].clone();
            Box::new(move |running| {
                events(running, move |pieces, running| async move {
                    for done in 1.. {
                        if done > total && !endless {
                            break;
                        }
                        if !pieces.send(event(&progress(&token, done).to_string())).await {
                            return;
                        }
                        tokio::time::sleep(pause).await;
                    }
                    let result = json!({ "content": [{ "type": "text", "text": "slow but sure" }] });
                    if pieces.send(event(&whole(&id, result, modern).to_string())).await {
                        running.finish();
                    }
                })
            })
        }
        "wait" => {
            let released = server.released.clone();
            Box::new(move |running| {
                events(running, move |pieces, running| async move {
                    released.cancelled().await;
                    let result = json!({ "content": [{ "type": "text", "text": "at last" }] });
                    if pieces.send(event(&whole(&id, result, modern).to_string())).await {
                        running.finish();
                    }
                })
            })
        }
        "after_cancellation" => {
            let cancelled = server.cancellation(&id);
            Box::new(move |running| {
                events(running, move |pieces, running| async move {
                    cancelled.cancelled().await;
                    let result = json!({ "content": [{ "type": "text", "text": "too late" }] });
                    if pieces.send(event(&whole(&id, result, modern).to_string())).await {
                        running.finish();
                    }
                })
            })
        }
        "huge" | "huge_chunked" => {
            let sized = name == "huge";
            Box::new(move |running| {
                let (head, tail) = around_filling(&id);
                (
                    [(header::CONTENT_TYPE, "application/json")],
                    Body::new(Filled::new(head, HUGE_BYTES, tail, sized, running)),
                )
                    .into_response()
            })
        }
        "huge_event" => Box::new(move |running| {
            let (head, tail) = around_filling(&id);
            stream(Body::new(Filled::new(
                format!("data: {head}"),
                HUGE_BYTES,
                format!("{tail}\n\n"),
                false,
                running,
            )))
        }),
        _ => return None,
    })
}

/// What stands before and after a text of any length in an answer.
fn around_filling(id: &Value) -> (String, String) {
    (
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":""#),
        r#""}]}}"#.to_owned(),
    )
}

/// A stream of events made by a task of its own.
fn events<Task: Future<Output = ()> + Send + 'static>(
    running: Running,
    make: impl FnOnce(Pieces, Running) -> Task,
) -> Response {
    let (pieces, body) = Pieces::new();
    tokio::spawn(make(pieces, running));
    stream(body)
}

/// Promises more bytes than it sends.
fn short_body(id: &Value) -> Response {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":["#);
    let (pieces, rest) = Pieces::new();
    tokio::spawn(async move {
        pieces.send(body).await;
        pieces.cut().await;
    });
    ([(header::CONTENT_TYPE, "application/json"), (header::CONTENT_LENGTH, "100000")], rest).into_response()
}

fn progress(token: &Value, done: u64) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": done } })
}

fn whole(id: &Value, mut result: Value, modern: bool) -> Value {
    if modern {
        result["resultType"] = json!("complete");
    }
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn event(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

fn stream(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
