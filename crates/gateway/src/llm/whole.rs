//! An answer in one piece: read, booked, and given out as it came.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use ringfence_json::{Object, Value, parse};
use ringfence_llm::answer::{self, output_tokens};
use ringfence_llm::error::redact;
use ringfence_llm::{Api, translate};
use ringfence_types::Refusal;
use smol_str::SmolStr;
use tokio::time::timeout_at;

use super::executor::tell;
use super::flight::{End, Flight};
use super::plan::Plan;
use super::provider::Body;
use crate::http::outbound::{self, Outbound};

/// An answer that was read and counted.
pub(crate) struct Whole {
    body: Vec<u8>,
    upstream: HeaderMap,
    /// Whether somebody else who asks the same may have it: it says of itself neither that it failed nor that it goes on.
    may_be_kept: bool,
}

/// Reads an answer to its end and writes what it used on the meter.
pub(crate) async fn read(
    flight: &Flight,
    plan: &Plan,
    response: Response<Body>,
    secrets: &[SmolStr],
) -> Result<Whole, End> {
    let secrets: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    let (head, body) = response.into_parts();
    let cancel = flight.cancel();
    let bytes_max = flight.call.gate.limits.message_bytes;
    let body = tokio::select! {
        biased;
        cut = cancel.cancelled() => return Err(End::Cut(cut)),
        body = timeout_at(flight.deadline(), collect(body, bytes_max)) => body.unwrap_or(Err(End::Timeout))?,
    };
    let value = parse(&body, &flight.call.gate.limits.upstream_json());
    let value = value.map_err(|error| End::Malformed(format!("it is not JSON: {error}")))?;
    let failed = count(flight, plan, &value)?;
    let may_be_kept = !failed && !is_under_way(&value);
    let body = match in_words_of(plan, value)? {
        Some(object) => Value::Object(object).to_bytes(),
        // What a provider says when it fails may hold a key.
        None if failed => redact(&body, &secrets).unwrap_or_else(|| body.to_vec()),
        None => body.to_vec(),
    };
    Ok(Whole { body, upstream: head.headers, may_be_kept })
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, End> {
    let announced = body.announced().and_then(|bytes| usize::try_from(bytes).ok());
    let mut all = BytesMut::with_capacity(announced.unwrap_or(4 << 10).min(bytes_max));
    while let Some(data) = body.data().await.map_err(|_| End::Broken)? {
        if all.len() + data.len() > bytes_max {
            return Err(End::TooLarge);
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// Writes what an answer used on the meter. Whether it says that it failed.
fn count(flight: &Flight, plan: &Plan, value: &Value) -> Result<bool, End> {
    let meter = flight.clearance().meter();
    let answered = answer::whole(plan.upstream, value);
    let written = output_tokens(plan.upstream, value, plan.served().tokenizer);
    meter.written(written);
    match answered.usage {
        Some(usage) => {
            meter.reported(usage, true);
            if is_too_little(usage.output_total(), written) {
                meter.doubt();
            }
        }
        // What goes on behind, or was thought and not shown, cannot be counted.
        None if is_under_way(value) || plan.asked.features.reasoning => {}
        None => meter.seen(),
    }
    if let Some(tier) = answered.tier {
        meter.tier(tier);
    }
    if answered.doubtful {
        meter.doubt();
    }
    meter.hosted(answered.hosted);
    // A response says by its own status that it failed, and has what came before that in it.
    let is_response = value.get("object").and_then(Value::as_str) == Some("response");
    match answered.failed {
        Some(_) if !is_response => Err(End::Failed),
        failed => Ok(failed.is_some()),
    }
}

/// Whether an answer says that the provider goes on with it (OpenAI, "Responses", `status`).
fn is_under_way(value: &Value) -> bool {
    matches!(value.get("status").and_then(Value::as_str), Some("queued" | "in_progress"))
}

/// Whether a provider says that it wrote much less than what came. What is counted here is a guess, but no such one.
pub(super) fn is_too_little(reported: u64, counted: u64) -> bool {
    counted > reported.saturating_mul(4).saturating_add(64)
}

/// The answer in the client's words; `None` where it is in them already.
fn in_words_of(plan: &Plan, value: Value) -> Result<Option<Object>, End> {
    if !plan.is_translated() {
        return Ok(None);
    }
    let answer = value.into_object().ok_or_else(|| End::Malformed("it is not a JSON object".into()))?;
    let name = plan.asked.model.as_str();
    let translated = match plan.asked.api {
        Api::Messages => translate::chat_to_messages_answer(&answer, name),
        _ => translate::messages_to_chat_answer(&answer, now_seconds(), name),
    };
    translated.map(Some).map_err(|error| End::Malformed(error.to_string()))
}

/// Seconds since 1970, for answers that say when they were made.
pub(super) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

// === impl Whole ===

impl Whole {
    /// Settles the call and gives the answer out.
    pub(crate) fn respond(self, flight: Flight, plan: &Plan) -> Response<Outbound> {
        let gate = flight.call.gate.clone();
        let piece = gate.limits.piece_bytes;
        let operation = flight.call.api.word();
        let lease = gate.kernel.lease_model(&flight.call.run, flight.clearance().model(), operation);
        let lease = match lease {
            Ok(lease) => lease,
            Err(refusal) => {
                // Cut off in the moment between: the answer is not given out.
                let family = flight.call.family();
                let cut =
                    ringfence_kernel::CutOff { code: refusal.code, reason: refusal.reason, action: None };
                let refusal = flight.fail(&End::Cut(cut));
                return super::answers::refused(&gate, family, &refusal, None);
            }
        };
        let cancel = lease.cancel().clone();
        let mut response = outbound::json_held(StatusCode::OK, self.body.clone(), lease, piece);
        tell(&mut response, &flight, plan, &self.upstream);
        if let Some(place) = plan.place.as_ref().filter(|_| self.may_be_kept) {
            gate.keep_answer(place, self.body.clone().into());
        }
        let (action, family) = (flight.action(), flight.call.family());
        flight.land(self.body);
        // What it cost may have stopped its own run: the agent hears that, not a connection that breaks.
        if let Err(cut) = cancel.check() {
            let (code, reason) = (cut.code, cut.reason);
            let refusal = Refusal::new(code, action, reason);
            return super::answers::refused(&gate, family, &refusal, None);
        }
        response
    }
}
