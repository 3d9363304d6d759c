//! Executing what was cleared: the only way from an agent's request to a model.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ringfence_json::Value;
use ringfence_kernel::{ModelClearance, Outcome};
use ringfence_llm::error::Passed;
use ringfence_llm::{Api, request, translate};
use ringfence_types::ActionId;

use super::answers::{self, mark, set};
use super::call::Call;
use super::flight::{End, Flight};
use super::outgoing::{Manner, Outgoing};
use super::plan::Plan;
use super::provider::Body;
use super::way::{self, Arrived, Down};
use super::{relay, saved, whole};
use crate::http::outbound::{self, Outbound};

/// What came of a cleared call.
pub(crate) enum Ended {
    Answered(Response<Outbound>),
    /// There was no answer; nothing of one was given out.
    Fell {
        response: Response<Outbound>,
        action: ActionId,
        others_may: bool,
    },
}

/// Headers of a provider's answer that the agent gets: what finds the call again at the provider.
const KEPT: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("openai-processing-ms"),
];

/// The media type of a stream.
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// Executes one cleared call.
pub(crate) async fn execute(call: &Call, mut plan: Plan, clearance: ModelClearance) -> Ended {
    let mut flight = Flight::new(call.clone(), clearance);
    if !plan.is_of(&flight) {
        let why = "the configuration has just changed; make the call again";
        return fell(flight, &plan, End::NotSent(why.into()).into());
    }
    if let Err(end) = flight.take_turn(plan.served().concurrent).await {
        return fell(flight, &plan, end.into());
    }
    let outgoing = match outgoing(&flight, &mut plan) {
        Ok(outgoing) => outgoing,
        Err(end) => return fell(flight, &plan, end.into()),
    };
    let arrived = way::send(&flight, plan.served(), &outgoing, plan.estimate, plan.acts()).await;
    let Arrived { response, first_until } = match arrived {
        Ok(arrived) => arrived,
        Err(down) => return fell(flight, &plan, down),
    };
    if plan.asked.stream && is_stream(&response) {
        return Ended::Answered(relay::start(flight, &plan, response, first_until));
    }
    match whole::read(&flight, &plan, response, &outgoing.secrets).await {
        Ok(answer) => Ended::Answered(answer.respond(flight, &plan)),
        Err(end) => fell(flight, &plan, end.into()),
    }
}

/// The request as it goes out, with what was decided in it.
fn outgoing(flight: &Flight, plan: &mut Plan) -> Result<Outgoing, End> {
    let clearance = flight.clearance();
    if let Some(limit) = clearance.output() {
        plan.limit(limit).map_err(|error| End::NoRoom(error.reason))?;
    }
    let answers = clearance.demand().answers;
    if answers != plan.demand.answers {
        request::set_answers(&mut plan.body, plan.upstream, answers)
            .map_err(|error| End::NotSent(error.to_string()))?;
    }
    let is_as_asked = clearance.demand() == &plan.demand && !clearance.is_lowered();
    // Cut short for this call, another may have more; decided by another configuration, it is not what the key says.
    plan.place = plan.place.filter(|place| is_as_asked && place.config == clearance.config());
    let model = plan.served().model.clone();
    request::set_model(&mut plan.body, &model);
    request::ask_usage(&mut plan.body, plan.upstream);
    let body = Bytes::from(Value::Object(std::mem::take(&mut plan.body)).to_bytes());
    let manner = Manner::of(plan.asked.stream, plan.asked.features.reasoning, plan.served().context);
    let Some(provider) = plan.served().provider.http() else {
        return Ok(Outgoing::local(plan.upstream, body, manner));
    };
    Outgoing::make(provider, plan.upstream, &flight.call.said, body, manner)
        .map_err(|error| End::NotSent(error.to_string()))
}

/// Gives an answer out again that was kept of an earlier call.
pub(crate) fn repeat(
    call: &Call,
    plan: &Plan,
    clearance: ModelClearance,
    body: &Bytes,
) -> Response<Outbound> {
    let gate = &call.gate;
    let piece = gate.limits.piece_bytes;
    let (action, model) = (clearance.action(), clearance.model().clone());
    let lease = match gate.kernel.lease_model(&call.run, &model, call.api.word()) {
        Ok(lease) => lease,
        Err(refusal) => {
            clearance.settle(Outcome::NotSent { message: refusal.reason.clone() });
            return answers::refused(gate, call.family(), &refusal, None);
        }
    };
    let mut response = outbound::json_held(StatusCode::OK, body.to_vec(), lease, piece);
    saved::tell(plan, clearance.meter(), body, &gate.limits);
    clearance.settle(Outcome::Completed { result: body.to_vec(), is_error: false });
    if plan.asked.stream {
        response = fine(response, EVENTS);
    }
    mark(&mut response, action);
    name(&mut response, plan);
    set(&mut response, "x-ringfence-cache", "hit");
    response
}

fn is_stream(response: &Response<Body>) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.and_then(|media| media.split(';').next()).unwrap_or_default();
    media.trim().eq_ignore_ascii_case("text/event-stream")
}

fn fell(mut flight: Flight, plan: &Plan, down: Down) -> Ended {
    flight.give(down.said);
    let (gate, family) = (flight.call.gate.clone(), flight.call.family());
    let (action, others_may) = (flight.action(), down.end.others_may(plan.acts()));
    let refusal = flight.fail(&down.end);
    let mut response = match down.passed {
        Some(passed) => answers::passed(&gate, in_words_of(plan, passed)),
        None => answers::refused(&gate, family, &refusal, None),
    };
    mark(&mut response, action);
    Ended::Fell { response, action, others_may }
}

/// A provider's error in the client's words.
fn in_words_of(plan: &Plan, passed: Passed) -> Passed {
    let translate = match (plan.upstream, plan.asked.api) {
        (Api::Messages, Api::Chat) => translate::error_to_chat,
        (Api::Chat, Api::Messages) => translate::error_to_messages,
        _ => return passed,
    };
    let said = ringfence_json::parse(&passed.body, &ringfence_json::Limits::default());
    let said = said.ok().and_then(Value::into_object).unwrap_or_default();
    let (status, body) = translate(passed.status, &said);
    Passed { status, body: Value::Object(body).to_bytes(), ..passed }
}

/// Says of an answer what the node knows of it.
pub(crate) fn tell(response: &mut Response<Outbound>, flight: &Flight, plan: &Plan, upstream: &HeaderMap) {
    for name in KEPT {
        if let Some(value) = upstream.get(&name).filter(|value| value.len() <= 256) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    let clearance = flight.clearance();
    mark(response, clearance.action());
    name(response, plan);
    let asked = plan.demand.output;
    // For want of money, or by a rule.
    if let Some(limit) = clearance.output().filter(|limit| asked.is_some_and(|asked| *limit < asked)) {
        set(response, "x-ringfence-max-output-tokens", &limit.to_string());
    }
}

/// Says which model answers, where that is another than the one that was named.
fn name(response: &mut Response<Outbound>, plan: &Plan) {
    if plan.candidate.named.is_some() {
        set(response, "x-ringfence-model", plan.candidate.model.as_str());
    }
}

/// An answer with status 200 and this media type.
pub(crate) fn fine(mut response: Response<Outbound>, media: &'static str) -> Response<Outbound> {
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
