//! What becomes of an agent's request to a model.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use ringfence_json::{Object, Value, parse};
use ringfence_kernel::{Admission, ModelCall, ModelClearance, ModelProposal, Outcome, Run};
use ringfence_llm::request::rules_view;
use ringfence_llm::{Api, Family};
use ringfence_types::{ActionId, Code, Refusal};

use super::answers;
use super::call::{self, Call, Said};
use super::endpoint::{self, Endpoint};
use super::executor::{self, Ended};
use super::list;
use super::plan::{Plan, Unfit};
use super::route::{self, Candidate};
use crate::gate::Gate;
use crate::http::accept::Standing;
use crate::http::inbound::{self, BodyError};
use crate::http::loads;
use crate::http::outbound::Outbound;
use crate::mcp::handler::is_json;

/// Answers a request under `/openai` or `/anthropic`.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    family: Family,
    parts: Parts,
    body: Incoming,
    standing: &Standing,
) -> Response<Outbound> {
    let run = match gate.run_of(&parts.headers, standing) {
        Ok(run) => run,
        Err(presented) => return answers::unauthorized(gate, family, presented.is_some()),
    };
    if !standing.prove(run.id, &gate.loads) {
        return answers::busy(gate, family, "this run has as many connections open as it may have");
    }
    let Some(endpoint) = Endpoint::of_path(family, parts.uri.path()) else {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        return answers::no_such_path(gate, family, &endpoint::nothing_here(host));
    };
    match (&parts.method, endpoint) {
        (&Method::POST, Endpoint::Call(api)) => post(gate, run, api, &parts, body).await,
        (&Method::GET, Endpoint::Models) => list::all(gate, family, &run),
        (&Method::GET, Endpoint::Model(name)) => list::one(gate, family, &run, name),
        _ => answers::no_such_path(gate, family, "this path does not take this method"),
    }
}

async fn post(
    gate: &Arc<Gate>,
    run: Arc<Run>,
    api: Api,
    parts: &Parts,
    body: Incoming,
) -> Response<Outbound> {
    let family = api.family();
    if !is_json(&parts.headers) {
        let message = "the body has to be JSON: `Content-Type: application/json`";
        return answers::unreadable(gate, family, StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let Some(room) = room(gate, &run, &body) else { return crowded(gate, family) };
    let limits = &gate.limits;
    let request = match inbound::read(body, limits.model_body_bytes, limits.body_time).await {
        Ok(request) => request,
        Err(error) => return answers::unreadable(gate, family, body_status(error), &error.to_string()),
    };
    let object = match parse(&request, &limits.model_json()).map(Value::into_object) {
        Ok(Some(object)) => object,
        Ok(None) => {
            let message = "the body has to be a JSON object";
            return answers::unreadable(gate, family, StatusCode::BAD_REQUEST, message);
        }
        Err(error) => {
            let message = format!("the body cannot be read as JSON: {error}");
            return answers::unreadable(gate, family, StatusCode::BAD_REQUEST, &message);
        }
    };
    let said = match Said::read(&parts.headers, limits.labels) {
        Ok(said) => said,
        Err(error) => {
            return answers::unreadable(gate, family, StatusCode::BAD_REQUEST, &error.to_string());
        }
    };
    // From here on only as much as it is.
    drop(room);
    let Some(room) = gate.loads.body(run.id, request.len()) else { return crowded(gate, family) };
    serve(&Call { gate: Arc::clone(gate), run, api, request, said, _room: Arc::new(room) }, object).await
}

fn crowded(gate: &Gate, family: Family) -> Response<Outbound> {
    let message = "this run, or all of them together, has too much under way; wait for an answer";
    answers::busy(gate, family, message)
}

/// Room for a body: as much as it says that it has; as much as it may have, where it does not say.
fn room(gate: &Gate, run: &Run, body: &Incoming) -> Option<loads::Room> {
    let announced = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = announced.unwrap_or(gate.limits.model_body_bytes).min(gate.limits.model_body_bytes);
    gate.loads.body(run.id, bytes)
}

fn body_status(error: BodyError) -> StatusCode {
    match error {
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    }
}

/// What came of asking one model.
enum Attempted {
    Answered(Response<Outbound>),
    /// It did not answer. Another may be asked where the fault is that model's alone.
    Fell {
        response: Response<Outbound>,
        action: Option<ActionId>,
        others_may: bool,
    },
}

/// Asks the models that may answer, one after the other, until one does. If none does, the agent is told why the first
/// did not.
async fn serve(call: &Call, object: Object) -> Response<Outbound> {
    let Some(name) = call::named(&object).map(ToOwned::to_owned) else {
        return unfit(call, "unnamed", &Unfit::invalid("model", "`model` has to name a model"));
    };
    let candidates = match route::candidates(call, &name, &object) {
        Ok(candidates) => candidates,
        Err(error) => return unfit(call, &name, &error),
    };
    let (mut first, mut instead_of) = (None, None);
    let mut rest = candidates.into_iter().peekable();
    let mut object = Some(object);
    while let Some(candidate) = rest.next() {
        // A copy only where another model may need it after this one.
        let own = if rest.peek().is_some() { object.clone() } else { object.take() };
        match attempt(call, candidate, own.unwrap_or_default(), instead_of).await {
            Attempted::Answered(response) => return response,
            Attempted::Fell { response, action, others_may } => {
                first.get_or_insert(response);
                instead_of = action.or(instead_of);
                if !others_may {
                    break;
                }
            }
        }
    }
    first
        .unwrap_or_else(|| unfit(call, &name, &Unfit::invalid("model", "no model is left that could answer")))
}

/// Asks one model.
async fn attempt(
    call: &Call,
    candidate: Candidate,
    object: Object,
    instead_of: Option<ActionId>,
) -> Attempted {
    let name = candidate.model.clone();
    let plan = match Plan::make(call, candidate, object) {
        Ok(plan) => plan,
        Err(error) => {
            let response = unfit(call, name.as_str(), &error);
            return Attempted::Fell { response, action: None, others_may: false };
        }
    };
    if let Some(response) = kept(call, &plan, instead_of).await {
        return Attempted::Answered(response);
    }
    let clearance = match admit(call, &plan, instead_of, false).await {
        Ok(clearance) => clearance,
        Err(refusal) => {
            let others_may = refusal.code == Code::BreakerOpen;
            let response = answers::refused(&call.gate, call.family(), &refusal, None);
            return Attempted::Fell { response, action: None, others_may };
        }
    };
    match executor::execute(call, plan, clearance).await {
        Ended::Answered(response) => Attempted::Answered(response),
        Ended::Fell { response, action, others_may } => {
            Attempted::Fell { response, action: Some(action), others_may }
        }
    }
}

/// Answers with what was kept of an earlier call, if there is such a thing and this call may have it.
async fn kept(call: &Call, plan: &Plan, instead_of: Option<ActionId>) -> Option<Response<Outbound>> {
    let place = plan.place.as_ref()?;
    let body = call.gate.kept_answer(place).await?;
    let clearance = match admit(call, plan, instead_of, true).await {
        Ok(clearance) => clearance,
        Err(refusal) => return Some(answers::refused(&call.gate, call.family(), &refusal, None)),
    };
    let other = if clearance.config() != place.config {
        Some("the configuration has just changed, and what was kept is not of this one")
    } else if clearance.demand() != &plan.demand {
        Some("within the rules it is another call than the one that was answered")
    } else {
        None
    };
    if let Some(why) = other {
        clearance.settle(Outcome::NotSent { message: why.to_owned() });
        return None;
    }
    Some(executor::repeat(call, plan, clearance, &body))
}

async fn admit(
    call: &Call,
    plan: &Plan,
    instead_of: Option<ActionId>,
    cached: bool,
) -> Result<ModelClearance, Box<Refusal>> {
    let proposed = ModelCall {
        model: plan.candidate.model.clone(),
        named: plan.candidate.named.clone(),
        operation: call.api.word().into(),
        request: call.request.clone(),
        view: rules_view(&plan.asked),
        demand: plan.demand.clone(),
        trail: plan.trail(),
        conversation: call.said.conversation.clone(),
        instead_of,
        why: plan.candidate.why.clone(),
        cached,
    };
    let proposal = ModelProposal { run: Arc::clone(&call.run), call: proposed };
    let admission = match call.gate.kernel.admit_model(proposal).await {
        Admission::Pending(pending) => Box::pin(pending.wait()).await,
        decided => decided,
    };
    match admission {
        Admission::Cleared(clearance) => Ok(clearance),
        Admission::Refused(refusal) => Err(Box::new(refusal)),
        Admission::Pending(_) => Err(Box::new(call.gate.kernel.turn_away_model(
            &call.run,
            plan.candidate.model.as_str(),
            call.api.word(),
            Code::Overloaded,
            "This call waits for a person's approval. Make the same call again later.",
        ))),
    }
}

fn unfit(call: &Call, name: &str, error: &Unfit) -> Response<Outbound> {
    let asked = (name, call.api.word());
    let why = (error.param.as_deref(), error.reason.as_str());
    answers::turned_away(&call.gate, call.family(), &call.run, asked, error.code, why)
}
