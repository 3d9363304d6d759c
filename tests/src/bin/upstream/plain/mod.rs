//! A small server written by hand, because a library would not let it misbehave.
//!
//! Every tool misbehaves in the way its name says; `record` and `echo` behave. `GET /state` tells what happened to the
//! calls, `POST /release` lets go of the calls of `wait`, and `POST /definitions/{text}` changes the description of every tool,
//! as an attacker would.

mod body;
mod definitions;
mod misbehave;
mod protocol;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use clap::ValueEnum;
use serde_json::Value;

use crate::calls::Calls;
use state::Server;

/// The protocol eras a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Era {
    /// Sessions: 2025-11-25 and older.
    Legacy,
    /// Stateless: 2026-07-28.
    Modern,
    /// Each client its own.
    Both,
}

/// The server at `/mcp`, and what a test asks it beside the protocol.
pub fn router(calls: Calls, era: Era) -> Router {
    let server = Arc::new(Server::new(calls, era));
    Router::new()
        .route("/mcp", post(protocol::receive).get(no_stream).delete(no_stream))
        .route("/state", get(state))
        .route("/release", post(release))
        .route("/definitions/{text}", post(redefine))
        .with_state(server)
}

/// It offers no stream of its own and lets nobody end a session.
async fn no_stream() -> Response {
    StatusCode::METHOD_NOT_ALLOWED.into_response()
}

async fn state(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(server.counts())
}

async fn release(State(server): State<Arc<Server>>) -> StatusCode {
    server.released.cancel();
    StatusCode::NO_CONTENT
}

async fn redefine(State(server): State<Arc<Server>>, Path(text): Path<String>) -> StatusCode {
    server.redefine(text);
    StatusCode::NO_CONTENT
}
