//! What a legacy client sends besides requests: notifications, and answers to servers' questions.

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use ringfence_kernel::Run;

use super::answers::bare_fault;
use super::endpoint::Endpoint;
use super::fault::{self, Fault};
use super::handler::session_of;
use super::message::{Id, Message, Notification, Response as Answer};
use super::passage::Passage;
use super::refusal::Effect;
use super::session::Session;
use super::upstream::UpstreamError;
use super::{listen, question, refusal};
use crate::gate::Gate;
use crate::http::outbound::{self, Outbound};

/// Takes a notification. Only those pass that MCP has for clients: anything else would reach a server undecided.
pub(super) async fn notification(
    gate: &Arc<Gate>,
    run: &Run,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    notification: Notification,
) -> Response<Outbound> {
    let session = match session_of(gate, run, endpoint, headers) {
        Some(Ok(session)) => session,
        Some(Err(fault)) => return bare_fault(gate, &fault),
        // Modern revisions have none over HTTP, and call off by closing.
        None => return outbound::status(StatusCode::ACCEPTED),
    };
    match notification.method.as_str() {
        "notifications/cancelled" => {
            let id = notification.param("requestId").cloned();
            if let Some(id) = id.and_then(|id| Id::read(id).ok()) {
                session.call_off(&id);
            }
        }
        "notifications/roots/list_changed" => {
            let changed = Notification { method: notification.method, params: None };
            listen::tell_upstreams(gate, &session, changed).await;
        }
        "notifications/progress" => tell_asker(gate, &session, &notification).await,
        // The gate has greeted the upstreams itself.
        "notifications/initialized" => {}
        _ => {
            let message = "a notification that is not known here is not passed on";
            return bare_fault(gate, &Fault::bad_request(fault::METHOD_NOT_FOUND, message));
        }
    }
    outbound::status(StatusCode::ACCEPTED)
}

/// Tells a server how far the client is with its question; nobody else, and nobody who asked nothing.
async fn tell_asker(gate: &Gate, session: &Session, notification: &Notification) {
    let Some(progress) = question::progress(notification) else { return };
    let Some(question) = progress.param("progressToken").and_then(|token| session.question_of_token(token))
    else {
        return;
    };
    let telling = async {
        let lease = gate.kernel.visit(&session.run, &question.server, "notifications/progress").ok()?;
        let told = Message::Notification(progress);
        question.back.link().ok()?.send(gate, Passage::Visit(&lease), &told).await.ok()
    };
    let told = tokio::time::timeout(gate.limits.errand_time, telling).await;
    tracing::debug!(server = %question.server, told = matches!(told, Ok(Some(()))), "progress was passed on");
}

/// Takes the client's answer to a question of a server, and passes it on.
pub(super) async fn answer(
    gate: &Arc<Gate>,
    run: &Arc<Run>,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    answer: Answer,
) -> Response<Outbound> {
    let session = match session_of(gate, run, endpoint, headers) {
        Some(Ok(session)) => session,
        Some(Err(fault)) => return bare_fault(gate, &fault),
        None => {
            let message = "an answer needs the session of the question";
            return bare_fault(gate, &Fault::bad_request(fault::INVALID_REQUEST, message));
        }
    };
    let answer_bytes = gate.limits.answer_bytes;
    if answer.to_bytes().len() > answer_bytes {
        let message = format!("an answer can have at most {answer_bytes} bytes");
        return bare_fault(gate, &Fault::bad_request(fault::INVALID_REQUEST, message));
    }
    let Some(question) = answer.id.as_ref().and_then(|id| session.answered(id)) else {
        let message = "nobody asked what this answers";
        return bare_fault(gate, &Fault::bad_request(fault::INVALID_REQUEST, message));
    };
    // Something above the run may have been cut off since it was asked.
    let lease = match gate.kernel.visit(run, &question.server, "response") {
        Ok(lease) => lease,
        Err(refusal) => return bare_fault(gate, &refusal::fault(&refusal, Effect::Refused)),
    };
    let answer = Message::Response(question.answer(answer));
    let sending = async { question.back.link()?.send(gate, Passage::Visit(&lease), &answer).await };
    match tokio::time::timeout(gate.limits.errand_time, sending).await {
        Ok(Ok(())) => outbound::status(StatusCode::ACCEPTED),
        Ok(Err(error)) => bare_fault(gate, &Fault::upstream(error.for_agents())),
        Err(_) => bare_fault(gate, &Fault::upstream(UpstreamError::Timeout.to_string())),
    }
}
