//! Requests for approval, and their answers.

use ringfence_json::Object;
use ringfence_kernel::{Actor, ApprovalError, ApprovalView};
use ringfence_types::ApprovalId;

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use super::super::show;
use super::runs::note;

impl From<ApprovalError> for Problem {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::Unknown(_) => Self::unknown(error.to_string()),
            ApprovalError::NotWaiting(_) | ApprovalError::Already => Self::conflict(error.to_string()),
            ApprovalError::Own | ApprovalError::NotAllowed { .. } => Self::forbidden(error.to_string()),
            ApprovalError::Arguments(_) => Self::wrong(error.to_string()),
            ApprovalError::LedgerUnavailable(error) => error.into(),
        }
    }
}

/// What requests can be asked for by: where they stand, or all.
const STATES: [&str; 6] = ["waiting", "approved", "denied", "spent", "expired", "all"];

pub(in crate::api) async fn approvals(call: Call) -> Result<Answer, Problem> {
    let limit = call.limit()?;
    let state = call.asked_word("state", &STATES)?.unwrap_or("waiting");
    let wanted = |view: &ApprovalView| state == "all" || show::approval_state(view.status) == state;
    let workspace = call.asked("workspace");
    let in_workspace = |view: &ApprovalView| {
        workspace.is_none_or(|name| view.scope.workspace.as_ref().is_some_and(|own| own.as_str() == name))
    };
    let all = call.desk.kernel.approvals();
    let all: Vec<_> = all.into_iter().filter(|view| wanted(view) && in_workspace(view)).collect();
    let more = all.len() > limit;
    let shown = show::list(all.into_iter().take(limit), show::approval);
    Ok(Answer::Document(Object::new().with("approvals", shown).with("more", more)))
}

pub(in crate::api) async fn one_approval(call: Call) -> Result<Answer, Problem> {
    let id: ApprovalId = call.part("approval")?;
    let view = call.desk.kernel.approval(id).ok_or(ApprovalError::Unknown(id))?;
    Ok(Answer::Document(show::approval(&view)))
}

pub(in crate::api) async fn approve(call: Call) -> Result<Answer, Problem> {
    let id: ApprovalId = call.part("approval")?;
    let arguments = call.object("arguments")?.cloned();
    let actor = Actor::from(&call.caller);
    let view = call.desk.kernel.approve(id, &actor, arguments, note(&call, "note")?).await?;
    Ok(Answer::Document(show::approval(&view)))
}

pub(in crate::api) async fn deny(call: Call) -> Result<Answer, Problem> {
    let id: ApprovalId = call.part("approval")?;
    let view = call.desk.kernel.deny(id, &Actor::from(&call.caller), note(&call, "note")?).await?;
    Ok(Answer::Document(show::approval(&view)))
}
