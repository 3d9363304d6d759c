//! Questions to the policy; they leave no trace in history.

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use crate::compile::vocabulary;
use crate::explain::{ExplainError, explain as explain_call};
use crate::setup::known_tools;

impl From<ExplainError> for Problem {
    fn from(error: ExplainError) -> Self {
        Self::wrong(error.to_string())
    }
}

pub(in crate::api) async fn explain(call: Call) -> Result<Answer, Problem> {
    let in_force = call.desk.in_force();
    let tools = known_tools(&in_force.compiled.loaded.config.workspaces, &call.desk.kernel.pins());
    Ok(Answer::Document(explain_call(&in_force.compiled, &tools, &call.body)?))
}

pub(in crate::api) async fn schema(call: Call) -> Result<Answer, Problem> {
    let in_force = call.desk.in_force();
    let loaded = &in_force.compiled.loaded;
    let tools = known_tools(&loaded.config.workspaces, &call.desk.kernel.pins());
    let schema = ringfence_policy::cedar_schema(&vocabulary(loaded, &tools));
    Ok(Answer::Text("text/plain; charset=utf-8", schema))
}
