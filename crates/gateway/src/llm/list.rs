//! Which models there are for an agent: those it holds.

use std::sync::Arc;

use http::{Response, StatusCode};
use ringfence_json::{Object, Value};
use ringfence_kernel::Run;
use ringfence_llm::Family;
use ringfence_types::{Code, ModelName};

use super::answers;
use super::plan::Unfit;
use crate::gate::Gate;
use crate::http::outbound::{self, Outbound};

/// Nobody asks when a model was made, and the node does not know.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Every model that the run holds.
pub(super) fn all(gate: &Gate, family: Family, run: &Arc<Run>) -> Response<Outbound> {
    if let Err(refusal) = gate.kernel.lease(run, None) {
        return answers::refused(gate, family, &refusal, None);
    }
    let models: Vec<Object> = held(gate, run).iter().map(|model| shown(family, model)).collect();
    let body = match family {
        Family::OpenAi => Object::new().with("object", "list").with("data", models),
        Family::Anthropic => {
            let id = |model: Option<&Object>| match model.and_then(|model| model.text("id")) {
                Some(id) => Value::from(id),
                None => Value::Null,
            };
            let (first, last) = (id(models.first()), id(models.last()));
            Object::new()
                .with("data", models)
                .with("has_more", false)
                .with("first_id", first)
                .with("last_id", last)
        }
    };
    outbound::json(StatusCode::OK, Value::Object(body).to_bytes(), None, gate.limits.piece_bytes)
}

/// One of them.
pub(super) fn one(gate: &Gate, family: Family, run: &Arc<Run>, name: &str) -> Response<Outbound> {
    if let Err(refusal) = gate.kernel.lease(run, None) {
        return answers::refused(gate, family, &refusal, None);
    }
    let known = held(gate, run).into_iter().find(|model| model.as_str() == name);
    let Some(model) = known else {
        let reason = Unfit::missing(name).reason;
        return answers::turned_away(gate, family, run, (name, "models"), Code::NotGranted, (None, &reason));
    };
    let body = Value::Object(shown(family, &model)).to_bytes();
    outbound::json(StatusCode::OK, body, None, gate.limits.piece_bytes)
}

fn held(gate: &Gate, run: &Run) -> Vec<ModelName> {
    let setup = gate.kernel.setup();
    setup.holds(run).map(|holds| holds.models()).unwrap_or_default()
}

fn shown(family: Family, model: &ModelName) -> Object {
    match family {
        Family::OpenAi => Object::new()
            .with("id", model)
            .with("object", "model")
            .with("created", 0_u64)
            .with("owned_by", "ringfence"),
        Family::Anthropic => Object::new()
            .with("type", "model")
            .with("id", model)
            .with("display_name", model)
            .with("created_at", EPOCH),
    }
}
