//! Runs and their tokens.

use std::time::Duration;

use ringfence_json::Object;
use ringfence_kernel::{Account, Actor, LedgerUnavailable, Mint, MintError, RunError, RunView};
use ringfence_types::{EntryKind, RunId};

use super::super::call::{Answer, Call};
use super::super::money;
use super::super::problem::Problem;
use super::super::show;
use super::audit::blocking;
use super::started::configured;
use crate::audit::Filter;
use crate::limits::NOTE_BYTES_MAX;

/// Runs that another has started which are shown with it, the newest.
const CHILDREN_MAX: usize = 100;

/// Entries from which a run is shown that is no longer known, the newest.
const PAST_ENTRIES: usize = 1_000;

/// How long a run token lasts unless something else is asked for.
const TTL_DEFAULT: Duration = Duration::from_hours(1);

impl From<LedgerUnavailable> for Problem {
    fn from(error: LedgerUnavailable) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<MintError> for Problem {
    fn from(error: MintError) -> Self {
        match error {
            MintError::UnknownWorkspace(_)
            | MintError::UnknownAgent { .. }
            | MintError::UnknownServer { .. } => Self::unknown(error.to_string()),
            MintError::TtlTooLong => Self::wrong(error.to_string()),
            MintError::TooManyRuns(_) => Self::conflict(error.to_string()),
            MintError::LedgerUnavailable(error) => error.into(),
        }
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Unknown(_) => Self::unknown(error.to_string()),
            RunError::Ended(run) => Self::conflict(error.to_string()).hint(format!(
                "`ringfence runs show {run}` says how it ended, `ringfence runs list` which have not"
            )),
            RunError::Step(run, _) => Self::conflict(error.to_string())
                .hint(format!("`ringfence runs show {run}` says where it stands")),
            RunError::LedgerUnavailable(error) => error.into(),
        }
    }
}

pub(in crate::api) async fn mint(call: Call) -> Result<Answer, Problem> {
    let mint = Mint {
        workspace: call.required("workspace")?,
        agent: call.required("agent")?,
        user: call.member("user")?,
        conversation: call.member("conversation")?,
        ttl: call.duration("ttl")?.unwrap_or(TTL_DEFAULT),
    };
    // The kernel would refuse it too, and does not know what was meant.
    configured(&call.desk.in_force().compiled.loaded.config, &mint.workspace, &mint.agent)?;
    let minted = call.desk.kernel.mint(mint, &Actor::from(&call.caller)).await?;
    Ok(Answer::Document(
        Object::new()
            .with("token", minted.token.reveal())
            .with("run", minted.run.to_string())
            .with("expires_at", minted.expires_at),
    ))
}

pub(in crate::api) async fn runs(call: Call) -> Result<Answer, Problem> {
    let limit = call.limit()?;
    let (workspace, agent) = (call.asked("workspace"), call.asked("agent"));
    let wanted = |view: &RunView| {
        workspace.is_none_or(|name| view.run.workspace.as_str() == name)
            && agent.is_none_or(|name| view.run.agent.as_str() == name)
    };
    let all: Vec<RunView> = call.desk.kernel.runs().into_iter().filter(wanted).collect();
    let more = all.len() > limit;
    let now = call.desk.kernel.now();
    let shown = show::list(all.into_iter().take(limit), |view| {
        show::run(view, now).with_some("waits_for", call.desk.runs.waits_for(view.run.id))
    });
    Ok(Answer::Document(Object::new().with("runs", shown).with("more", more)))
}

pub(in crate::api) async fn one_run(call: Call) -> Result<Answer, Problem> {
    let id: RunId = call.part("run")?;
    let Some(view) = call.desk.kernel.run(id) else { return past_run(&call, id).await };
    let (kernel, now) = (&call.desk.kernel, call.desk.kernel.now());
    let spent = kernel.spent(&Account::Run(id));
    let children: Vec<RunId> = kernel.children_of(id, CHILDREN_MAX).iter().map(|it| it.run.id).collect();
    let budgets = kernel.budgets(|account, _, _, _| money::is_above(account, &view.run));
    Ok(Answer::Document(
        show::run(&view, now)
            .with_some("waits_for", call.desk.runs.waits_for(id))
            .with("spent", money::spent(&spent))
            .with("budgets", show::list(&budgets, |budget| money::budget(budget, now)))
            .with_some("children", (!children.is_empty()).then(|| show::texts(children))),
    ))
}

/// A run that is over for so long, or with so many after it, that only the log tells of it.
async fn past_run(call: &Call, id: RunId) -> Result<Answer, Problem> {
    let books = call.desk.books.clone();
    let filter = Filter { kinds: vec![EntryKind::Token, EntryKind::Run], run: Some(id), ..Filter::default() };
    let told = blocking(move || books.newest(&filter, u64::MAX, PAST_ENTRIES)).await?;
    let view = RunView::told_by(id, told.entries.iter().map(|entry| &entry.object));
    let mut shown = show::run(&view.ok_or(RunError::Unknown(id))?, call.desk.kernel.now());
    // Nobody counts them any more; the log has each.
    for count in ["actions", "in_flight"] {
        shown.remove(count);
    }
    Ok(Answer::Document(shown))
}

pub(in crate::api) async fn kill(call: Call) -> Result<Answer, Problem> {
    let id: RunId = call.part("run")?;
    let reason = note(&call, "reason")?.unwrap_or("ended by an operator");
    call.desk.runs.kill(id, reason, &Actor::from(&call.caller)).await?;
    let ends = call.desk.runs.is_living(id);
    let state = if ends { "stopping" } else { "ended" };
    Ok(Answer::Document(Object::new().with("run", id.to_string()).with("state", state)))
}

/// What a person says about something, within bounds.
pub(super) fn note<'c>(call: &'c Call, name: &str) -> Result<Option<&'c str>, Problem> {
    let text = call.text(name)?.map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.len() > NOTE_BYTES_MAX => {
            Err(Problem::wrong(format!("`{name}` can have at most {NOTE_BYTES_MAX} bytes")))
        }
        text => Ok(text),
    }
}
