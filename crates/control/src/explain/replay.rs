//! Recorded requests to models as rules see them.

use ringfence_json::{Object, Value};
use ringfence_llm::Api;
use ringfence_llm::request::{Switches, read, rules_view};

use super::{ExplainError, OPERATION, On, asked, text};
use crate::compile::Compiled;

/// What rules see of a recorded call as its arguments: those of a tool as they are, of a request to a model what the
/// gateway would make of it under this configuration.
///
/// # Errors
/// As [`super::explain`]; and when the gateway would not take the request under this configuration.
pub fn replayed_arguments(compiled: &Compiled, call: &Object) -> Result<Object, ExplainError> {
    let nothing = Object::new();
    let asked = asked(&compiled.loaded.config, &[], call, &nothing)?;
    let On::Model { model, .. } = asked.on else { return Ok(asked.arguments.clone()) };
    let operation = text(call, "operation")?.unwrap_or(OPERATION);
    let api = Api::ALL.into_iter().find(|api| api.word() == operation);
    let api = api.ok_or(ExplainError::Type { member: "operation", expected: "one of a model" })?;
    let agent = asked.by.agent().ok_or(ExplainError::Missing("agent"))?;
    let models = &asked.workspace.models;
    let served =
        models.iter().find(|known| known.name.as_str() == model).and_then(|known| known.served.as_deref());
    let switches = Switches {
        pass_unknown: served.is_some_and(|served| served.pass_unknown),
        stored: agent.stored,
        remote: agent.remote,
        hosted: agent.hosted_tools.clone(),
    };
    let request = read(api, asked.arguments, &switches)
        .map_err(|objection| ExplainError::Request(crate::shown::line(&objection.message)))?;
    let limit = served.map(|served| {
        let limit = request.output.unwrap_or(served.max_output);
        served.output_most.map_or(limit, |most| limit.min(most))
    });
    let limit = limit.filter(|_| api.generates()).map(Value::from);
    Ok(rules_view(&request)
        .with_some(ringfence_kernel::MAX_OUTPUT, limit)
        .with(ringfence_kernel::ANSWERS, request.answers))
}
