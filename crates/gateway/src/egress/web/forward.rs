//! The executor of requests: decided, sent on, and answered.

use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use ringfence_kernel::Failure;

use super::Visit;
use super::answers;
use super::body::{Download, Reply, Upload};
use super::request;
use super::upstream::{Connection, SendError};
use crate::egress::berth::Berth;
use crate::egress::fare::{End, Fare};
use crate::egress::pump;

/// Answers one request.
pub(crate) async fn answer(visit: &Arc<Visit>, mut request: Request<Incoming>) -> Response<Reply> {
    let inside = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let (berth, site) = (&visit.berth, &visit.site);
    let call = match request::call(site, &parts) {
        Ok(call) => call,
        Err(misfit) => {
            let refusal = berth.turn_away(&site.host, site.port, misfit.code, misfit.reason);
            return answers::refused(&refusal);
        }
    };
    match berth.admit(call).await {
        Ok(clearance) => execute(visit, parts, body, inside, Fare::new(clearance, berth)).await,
        Err(refusal) => answers::refused(&refusal),
    }
}

async fn execute(
    visit: &Arc<Visit>,
    mut parts: Parts,
    body: Incoming,
    inside: OnUpgrade,
    fare: Fare,
) -> Response<Reply> {
    let websocket = request::wants_websocket(&parts);
    request::strip(&mut parts.headers, websocket);
    let upload = Upload::new(body, &fare);
    let limits = visit.berth.limits();
    let world = visit.berth.world(fare.config);
    let end = tokio::select! {
        biased;
        cut = fare.cancel.cancelled() => End::Cut(cut),
        () = tokio::time::sleep_until(fare.deadline) => End::Deadline,
        () = pump::silence(&fare.counts, limits.answer_time) => {
            End::Host(Failure::Timeout, "the host did not answer in time")
        }
        sent = visit.upstream.send(&world, Request::from_parts(parts, upload)) => match sent {
            Ok((response, connection)) => {
                return answered(visit, response, connection, websocket.then_some(inside), fare);
            }
            Err(error) => failure(error),
        },
    };
    unanswered(fare, end)
}

fn failure(error: SendError) -> End {
    match error {
        SendError::Unreached(unreached) => End::Unreachable(unreached.to_string()),
        SendError::Broken => End::Host(Failure::Transport, "the host broke the connection"),
        SendError::Malformed => End::Host(Failure::Malformed, "the host did not answer in HTTP"),
    }
}

/// Tells why there is no answer, and settles.
fn unanswered(fare: Fare, end: End) -> Response<Reply> {
    let (status, reason) = match &end {
        End::Cut(cut) => (StatusCode::FORBIDDEN, cut.reason.clone()),
        End::Deadline => (StatusCode::GATEWAY_TIMEOUT, "The time for this request was up.".to_owned()),
        End::Host(Failure::Timeout, how) => (StatusCode::GATEWAY_TIMEOUT, sentence(how)),
        End::Host(_, how) => (StatusCode::BAD_GATEWAY, sentence(how)),
        End::Unreachable(how) | End::NotSent(how) => (StatusCode::BAD_GATEWAY, sentence(how)),
        End::Done | End::Inside => (StatusCode::BAD_GATEWAY, "There is no answer.".to_owned()),
    };
    let action = fare.action;
    fare.end(end);
    answers::failed(status, action, &reason)
}

fn sentence(how: &str) -> String {
    format!("This request was allowed, but: {how}.")
}

/// Passes the host's answer on. `inside`: where the program waits to speak WebSocket.
fn answered(
    visit: &Arc<Visit>,
    mut response: Response<Incoming>,
    connection: Connection,
    inside: Option<OnUpgrade>,
    mut fare: Fare,
) -> Response<Reply> {
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let outside = hyper::upgrade::on(&mut response);
    let (mut head, incoming) = response.into_parts();
    fare.answered(head.status);
    request::strip(&mut head.headers, switches);
    head.version = Version::HTTP_11;
    match (switches, inside) {
        (true, None) => {
            let how = "the host changed the protocol without being asked to";
            unanswered(fare, End::Host(Failure::Malformed, how))
        }
        (true, Some(inside)) => {
            let berth = Arc::clone(&visit.berth);
            visit.afterwards(Box::pin(switch(berth, inside, outside, connection, fare)));
            Response::from_parts(head, Reply::Own(bytes::Bytes::new()))
        }
        (false, _) => {
            let idle = visit.berth.limits().idle;
            let download = Download::new(incoming, fare, idle, connection);
            Response::from_parts(head, Reply::Host(Box::new(download)))
        }
    }
}

/// WebSocket: bytes both ways, once both sides have changed to it.
async fn switch(
    berth: Arc<Berth>,
    inside: OnUpgrade,
    outside: OnUpgrade,
    connection: Connection,
    fare: Fare,
) {
    let limits = berth.limits();
    let both = tokio::time::timeout(limits.handshake_time, async { tokio::try_join!(inside, outside) });
    if let Ok(Ok((inside, outside))) = both.await {
        pump::run(TokioIo::new(inside), TokioIo::new(outside), fare, limits).await;
    }
    drop(connection);
}
