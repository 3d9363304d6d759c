//! What agents keep between runs.

use std::fmt::Display;
use std::str::FromStr;

use ringfence_json::Object;
use ringfence_kernel::Actor;
use ringfence_runs::{AgentState, StateError};
use ringfence_types::{AgentName, WorkspaceName};

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use super::super::{sending, show};
use super::started::follower_place;

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        let detail = error.to_string();
        match error {
            StateError::Nothing(..) => {
                Self::unknown(detail).hint("`run: { state: { size: 256Mi } }` lets an agent keep something")
            }
            StateError::NoVersion { .. } => Self::unknown(detail),
            StateError::Held(run) => {
                Self::conflict(detail).hint(format!("wait for its end, or `ringfence runs stop {run}`"))
            }
            StateError::Busy => Self::conflict(detail),
            StateError::Damaged { .. } => {
                Self::conflict(detail).hint("another version may be whole: `ringfence runs state list`")
            }
            StateError::NoRoom { .. }
            | StateError::NoKey(_)
            | StateError::Unrecorded(_)
            | StateError::System(_) => Self::unavailable(detail),
        }
    }
}

pub(in crate::api) async fn states(call: Call) -> Result<Answer, Problem> {
    let (workspace, agent) = (call.asked("workspace"), call.asked("agent"));
    let wanted = |state: &AgentState| {
        workspace.is_none_or(|name| state.workspace.as_str() == name)
            && agent.is_none_or(|name| state.agent.as_str() == name)
    };
    let all = call.desk.runs.states().await?.into_iter().filter(wanted);
    let shown = show::list(all, |state| {
        let (versions, error) = match &state.versions {
            Ok(versions) => (versions.as_slice(), None),
            Err(error) => (&[][..], Some(error.to_string())),
        };
        Object::new()
            .with("workspace", &state.workspace)
            .with("agent", &state.agent)
            .with_some("held_by", state.held_by.map(|run| run.to_string()))
            .with_some("error", error)
            .with("versions", show::list(versions, |version| version.to_object()))
    });
    Ok(Answer::Document(Object::new().with("states", shown)))
}

pub(in crate::api) async fn restore_state(call: Call) -> Result<Answer, Problem> {
    let (workspace, agent) = whose(&call)?;
    let version = call.body.get("version").and_then(ringfence_json::Value::as_u64);
    let version = version.ok_or_else(|| Problem::wrong("`version` is needed, a whole number"))?;
    let by = Actor::from(&call.caller);
    let restored = call.desk.runs.restore_state(&workspace, &agent, version, &by).await?;
    Ok(Answer::Document(restored.to_object()))
}

pub(in crate::api) async fn clear_state(call: Call) -> Result<Answer, Problem> {
    let (workspace, agent) = whose(&call)?;
    let versions = call.desk.runs.clear_state(&workspace, &agent, &Actor::from(&call.caller)).await?;
    Ok(Answer::Document(Object::new().with("versions", versions)))
}

pub(in crate::api) async fn export_state(call: Call) -> Result<Answer, Problem> {
    let place = follower_place(&call)?;
    let workspace: WorkspaceName = asked(&call, "workspace")?;
    let agent: AgentName = asked(&call, "agent")?;
    let export = call.desk.runs.export_state(&workspace, &agent, call.asked_as("version")?).await?;
    Ok(Answer::Bytes(sending::written(place, move |mut out| export.write_tar(&mut out)), None))
}

fn whose(call: &Call) -> Result<(WorkspaceName, AgentName), Problem> {
    Ok((call.required("workspace")?, call.required("agent")?))
}

/// A part of the query that has to be there.
fn asked<T>(call: &Call, name: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    call.asked_as(name)?.ok_or_else(|| Problem::wrong(format!("`{name}` is needed")))
}
