//! The protocol by hand: as much of it as a client needs to reach a tool.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::state::Server;
use super::{Era, definitions, misbehave};

/// The revisions it speaks, by era.
const LEGACY: &[&str] = &["2025-11-25", "2025-06-18", "2025-03-26"];
const MODERN: &str = "2026-07-28";

/// Answers one message.
pub async fn receive(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Response {
    let id = message["id"].clone();
    let Some(method) = message["method"].as_str() else {
        return StatusCode::ACCEPTED.into_response();
    };
    let modern = headers.get("mcp-protocol-version").is_some_and(|version| version == MODERN);
    let refused = match server.era {
        Era::Legacy => modern,
        Era::Modern => !modern,
        Era::Both => false,
    };
    if refused {
        return unsupported(&id, server.era);
    }
    match method {
        "initialize" => initialize(&server, &id, &message["params"]),
        "notifications/cancelled" => {
            server.cancellation(&message["params"]["requestId"]).cancel();
            StatusCode::ACCEPTED.into_response()
        }
        _ if id.is_null() => StatusCode::ACCEPTED.into_response(),
        "server/discover" => answer(&id, discovered(server.era), modern),
        "ping" => answer(&id, json!({}), modern),
        "tools/list" => {
            let mut result = json!({ "tools": definitions::list(&server.description()) });
            if modern {
                result["ttlMs"] = json!(0);
                result["cacheScope"] = json!("public");
            }
            answer(&id, result, modern)
        }
        "tools/call" => misbehave::call(&server, &id, &message["params"], modern).await,
        _ => error(StatusCode::NOT_FOUND, &id, -32601, "Method not found"),
    }
}

fn initialize(server: &Server, id: &Value, params: &Value) -> Response {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = LEGACY.iter().find(|known| **known == asked).unwrap_or(&LEGACY[0]);
    let result = json!({
        "protocolVersion": version,
        "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "ringfence-plain", "version": "1" },
    });
    ([("mcp-session-id", server.session())], Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })))
        .into_response()
}

fn discovered(era: Era) -> Value {
    let legacy = if era == Era::Both { LEGACY } else { &[] };
    let versions: Vec<&str> = [MODERN].into_iter().chain(legacy.iter().copied()).collect();
    json!({
        "supportedVersions": versions,
        "capabilities": { "tools": {} },
        "ttlMs": 0,
        "cacheScope": "public",
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "ringfence-plain", "version": "1" } },
    })
}

fn unsupported(id: &Value, era: Era) -> Response {
    let supported: Vec<&str> = if era == Era::Legacy { LEGACY.to_vec() } else { vec![MODERN] };
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": {
        "code": -32022, "message": "Unsupported protocol version", "data": { "supported": supported },
    } });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// A whole answer; modern results carry their type.
pub fn answer(id: &Value, mut result: Value, modern: bool) -> Response {
    if modern {
        result["resultType"] = json!("complete");
    }
    Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
}

fn error(status: StatusCode, id: &Value, code: i32, message: &str) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
    (status, Json(body)).into_response()
}
