//! The switch.

use ringfence_json::Object;
use ringfence_kernel::{Actor, ResumeError, RunView, Suspend, SuspendError};
use ringfence_types::{Scope, SuspensionId};

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use super::super::{known, show};
use super::runs::note;

impl From<SuspendError> for Problem {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::NoReason => Self::wrong(error.to_string()),
            SuspendError::TooMany => Self::conflict(error.to_string()),
            SuspendError::LedgerUnavailable(error) => error.into(),
        }
    }
}

impl From<ResumeError> for Problem {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::Unknown(_) => Self::unknown(error.to_string()),
            ResumeError::LedgerUnavailable(error) => error.into(),
        }
    }
}

pub(in crate::api) async fn suspensions(call: Call) -> Result<Answer, Problem> {
    let all = call.desk.kernel.suspensions();
    Ok(Answer::Document(Object::new().with("suspensions", show::list(all, show::suspension))))
}

pub(in crate::api) async fn suspend(call: Call) -> Result<Answer, Problem> {
    let scope = Scope {
        workspace: call.member("workspace")?,
        agent: call.member("agent")?,
        run: call.member("run")?,
        server: call.member("server")?,
        tool: call.member("tool")?,
        model: call.member("model")?,
    };
    if scope.is_node() != call.flag("all")? {
        let detail = if scope.is_node() {
            "nothing says what to suspend"
        } else {
            "`all` suspends everything, the other members only a part: give one or the other"
        };
        return Err(Problem::wrong(detail).hint("name a scope, or say `all: true` for the whole node"));
    }
    let warning = if call.flag("even_if_unknown")? { None } else { known::check(&call.desk, &scope)? };
    let reason = note(&call, "reason")?.ok_or(SuspendError::NoReason)?.to_owned();
    let duration = call.duration("for")?;
    let suspended =
        call.desk.kernel.suspend(Suspend { scope, reason, duration }, &Actor::from(&call.caller)).await?;
    let cut = u64::try_from(suspended.cut).unwrap_or(u64::MAX);
    Ok(Answer::Document(show::suspension(&suspended).with("cut", cut).with_some("warning", warning)))
}

pub(in crate::api) async fn resume(call: Call) -> Result<Answer, Problem> {
    let id: SuspensionId = call.part("suspension")?;
    call.desk.kernel.resume(id, &Actor::from(&call.caller)).await?;
    Ok(Answer::Document(Object::new().with("id", id.to_string()).with("state", "lifted")))
}

/// Suspends an agent or a workspace, then ends all its runs: nothing of it acts any more, and nothing new begins.
pub(in crate::api) async fn kill_all(call: Call) -> Result<Answer, Problem> {
    let scope = Scope {
        workspace: Some(call.required("workspace")?),
        agent: call.member("agent")?,
        ..Scope::default()
    };
    known::check(&call.desk, &scope)?;
    let reason = note(&call, "reason")?.unwrap_or("killed by an operator").to_owned();
    let by = Actor::from(&call.caller);
    let suspend = Suspend { scope: scope.clone(), reason: reason.clone(), duration: None };
    let suspended = call.desk.kernel.suspend(suspend, &by).await?;
    let now = call.desk.kernel.now();
    let lives =
        |view: &RunView| view.ended.is_none() && now < view.run.expires_at && scope.covers(&view.run.scope());
    let runs: Vec<_> = call.desk.kernel.runs().into_iter().filter(lives).map(|view| view.run.id).collect();
    let killed = call.desk.runs.kill_all(&runs, &reason, &by).await?;
    Ok(Answer::Document(show::suspension(&suspended).with("runs", show::texts(&killed))))
}
