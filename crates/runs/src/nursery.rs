//! Runs that runs ask for.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ringfence_kernel::{Actor, EndedBy, Nursery, Outcome, Printed, Run, RunError, RunStep, SpawnClearance};
use ringfence_types::{Code, Refusal, RunId};

use crate::Runs;
use crate::limits::QUEUE_MAX;
use crate::output::Line;
use crate::plan::Plan;
use crate::plans::PlansByAgent;
use crate::queue::Waiting;
use crate::runs::Inner;
use crate::tail::last_lines;

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Starts what runs ask for. Holds nothing: whoever asks is held by what it would hold.
struct Here(Weak<Inner>);

/// Why nothing is started, and when trying again may help.
struct No {
    code: Code,
    reason: String,
    retry_after: Option<Duration>,
}

// === impl Runs ===

impl Runs {
    /// Whoever starts the runs that runs ask for.
    pub fn nursery(&self) -> Arc<dyn Nursery> {
        Arc::new(Here(Arc::downgrade(&self.0)))
    }

    /// Has the plans of a configuration ready: before anything is decided by it.
    pub fn prepare(&self, config: ringfence_types::Digest, plans: PlansByAgent) {
        self.0.plans.prepare(config, plans);
    }
}

// === impl Here ===

impl Nursery for Here {
    fn start(&self, clearance: SpawnClearance) -> Later<'_, Result<Arc<Run>, Refusal>> {
        Box::pin(async move {
            let action = clearance.action();
            let stopping = No::stopping;
            let Some(inner) = self.0.upgrade() else { return Err(stopping().tell(clearance)) };
            // A task of its own: a run that stands in the log has somebody to look after it, whoever goes away.
            let begun = inner.tasks.spawn(begin(Arc::clone(&inner), clearance)).await;
            begun.unwrap_or_else(|_| Err(stopping().into_refusal(action)))
        })
    }

    fn printed(&self, run: RunId, bytes_max: u64) -> Later<'_, Printed> {
        Box::pin(async move {
            let Some(inner) = self.0.upgrade() else { return Printed::default() };
            let read = move || inner.output_of(run).and_then(|path| last_lines(&path, bytes_max).ok());
            let read = tokio::task::spawn_blocking(read).await;
            let Ok(Some((lines, is_whole))) = read else {
                return Printed { lines: Vec::new(), is_whole: true };
            };
            Printed { lines: lines.iter().map(Line::to_object).collect(), is_whole }
        })
    }

    fn stop<'a>(&'a self, run: RunId, reason: &'a str) -> Later<'a, Result<(), RunError>> {
        Box::pin(async move {
            let inner = self.0.upgrade().ok_or(RunError::Unknown(run))?;
            let step = RunStep::Stopping { why: EndedBy::Parent, reason: reason.to_owned() };
            inner.kernel.step_run(run, step, &Actor::node()).await
        })
    }
}

async fn begin(inner: Arc<Inner>, clearance: SpawnClearance) -> Result<Arc<Run>, Refusal> {
    let (waiting, plan) = match prepared(&inner, &clearance) {
        Ok(prepared) => prepared,
        Err(no) => return Err(no.tell(clearance)),
    };
    let call = clearance.call();
    let (extra, input) = (call.arguments().to_vec(), call.input().unwrap_or_default().as_bytes().to_vec());
    let run = inner.kernel.begin_child(clearance).await?;
    inner.supervise(&run, plan, extra, input, waiting);
    Ok(run)
}

/// A place among those that wait, and what is to be started.
fn prepared(inner: &Inner, clearance: &SpawnClearance) -> Result<(Waiting, Plan), No> {
    let no = |code, reason: String| No { code, reason, retry_after: None };
    if inner.shutdown.is_cancelled() {
        return Err(No::stopping());
    }
    if inner.spawner.is_none() {
        return Err(no(Code::UpstreamFailed, "This node starts no programs.".to_owned()));
    }
    let (workspace, call) = (&clearance.run().workspace, clearance.call());
    let agent = call.agent();
    let plan = inner.plans.get(clearance.config(), workspace, agent).ok_or_else(|| {
        no(Code::NotGranted, format!("No program is configured for {agent}, so it cannot be started."))
    })?;
    if call.input().is_some_and(|input| !input.is_empty()) && !plan.takes_input {
        return Err(no(
            Code::InvalidInput,
            format!("{agent} takes no input. Give it `arguments`, or leave `input` out."),
        ));
    }
    let depth = clearance.run().above.len() + 1;
    let waiting = inner.queue.join(workspace, depth).ok_or_else(|| No {
        code: Code::Overloaded,
        reason: format!("{QUEUE_MAX} runs of this workspace wait for a place already."),
        retry_after: Some(Duration::from_secs(5)),
    })?;
    Ok((waiting, plan))
}

// === impl No ===

impl No {
    fn stopping() -> Self {
        let reason = "The node is stopping. Try again in a moment.".to_owned();
        Self { code: Code::Overloaded, reason, retry_after: Some(Duration::from_secs(1)) }
    }

    /// Nothing was started, which goes on record.
    fn tell(self, clearance: SpawnClearance) -> Refusal {
        let action = clearance.action();
        clearance.settle(Outcome::NotSent { message: self.reason.clone() });
        self.into_refusal(action)
    }

    fn into_refusal(self, action: ringfence_types::ActionId) -> Refusal {
        Refusal { retry_after: self.retry_after, ..Refusal::new(self.code, action, self.reason) }
    }
}
