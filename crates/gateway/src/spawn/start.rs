//! Having a run started, and waiting for its end.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_kernel::{
    Admission, Lease, Outcome, Run, RunError, RunView, SpawnCall, SpawnClearance, SpawnProposal,
};
use ringfence_policy::Narrowing;
use ringfence_types::{ActionId, AgentName, Code, Refusal, RunId};

use crate::gate::Gate;

/// A run that was started.
pub(super) struct Started {
    pub(super) action: ActionId,
    pub(super) run: Arc<Run>,
    /// What was changed in what the agent asked for.
    pub(super) narrowed: Vec<Narrowing>,
}

/// What `ringfence__spawn` and `POST /api/v1/runs` take beside what is started: whether to wait for its end. That changes
/// nothing of what is done, and no rule sees it.
pub(super) const WAIT: &str = "wait";

/// What is said of a run that is not one of those which this run has started.
pub(super) const NOT_YOURS: &str =
    "There is no such run among those that this one started; those that ended long ago are forgotten.";

/// Takes `wait` out of what an agent asks for.
///
/// # Errors
/// With a sentence, when it is neither.
pub(super) fn take_wait(asked: &mut Object, absent: bool) -> Result<bool, &'static str> {
    match asked.remove(WAIT) {
        None => Ok(absent),
        Some(value) => value.as_bool().ok_or("`wait` has to be true or false."),
    }
}

/// Has what an agent asks for decided, and started if it may be.
///
/// # Errors
/// When it may not, or cannot be started.
pub(super) async fn start(gate: &Gate, run: &Arc<Run>, asked: Object) -> Result<Started, Box<Refusal>> {
    let named = asked.text("agent").and_then(|name| AgentName::new(name).ok());
    let call = match SpawnCall::read(asked) {
        Ok(call) => call,
        Err(reason) => return Err(Box::new(turn_away(gate, run, named, reason))),
    };
    let clearance = admit(gate, SpawnProposal { run: Arc::clone(run), call }).await?;
    let (action, narrowed) = (clearance.action(), clearance.narrowed().to_vec());
    let Some(nursery) = gate.nurseries.get() else {
        let reason = "This node starts no programs.";
        clearance.settle(Outcome::NotSent { message: reason.to_owned() });
        return Err(Box::new(Refusal::new(Code::UpstreamFailed, action, reason)));
    };
    let run = nursery.start(clearance).await.map_err(Box::new)?;
    Ok(Started { action, run, narrowed })
}

/// Refuses, on the record, what cannot be read.
pub(super) fn turn_away(
    gate: &Gate,
    run: &Run,
    named: Option<AgentName>,
    reason: impl Into<String>,
) -> Refusal {
    let reason = reason.into();
    // Without a name it has to have one all the same.
    match named.or_else(|| AgentName::new("unnamed").ok()) {
        Some(agent) => gate.kernel.turn_away_spawn(run, &agent, Code::InvalidInput, reason),
        None => Refusal::new(Code::InvalidInput, gate.kernel.new_action(), reason),
    }
}

/// Asks the kernel; waits for a person where one has to agree.
async fn admit(gate: &Gate, proposal: SpawnProposal) -> Result<SpawnClearance, Box<Refusal>> {
    let mut admission = gate.kernel.admit_spawn(proposal).await;
    loop {
        match admission {
            Admission::Cleared(clearance) => return Ok(clearance),
            Admission::Refused(refusal) => return Err(Box::new(refusal)),
            Admission::Pending(pending) => admission = Box::pin(pending.wait()).await,
        }
    }
}

/// Lets a run look after those that it has started.
///
/// # Errors
/// When something above it is cut off, or it is over.
pub(super) fn lease(gate: &Gate, run: &Arc<Run>) -> Result<Lease, Box<Refusal>> {
    gate.kernel.lease(run, None).map_err(Box::new)
}

/// Waits until a run has ended, as long as a call may take; how it stands then.
///
/// # Errors
/// When whoever waits is cut off.
pub(super) async fn ended(gate: &Gate, lease: &Lease, child: RunId) -> Result<Option<RunView>, Box<Refusal>> {
    let ending = tokio::time::timeout(gate.limits.spawn_wait, gate.kernel.run_ended(child));
    tokio::select! {
        biased;
        cut = lease.cancel().cancelled() => {
            Err(Box::new(Refusal::new(cut.code, gate.kernel.new_action(), cut.reason)))
        }
        ended = ending => Ok(ended.unwrap_or_else(|_| gate.kernel.run(child))),
    }
}

/// Stops a run on behalf of the one that started it.
pub(super) async fn stop(gate: &Gate, child: RunId) -> Result<(), RunError> {
    let Some(nursery) = gate.nurseries.get() else { return Err(RunError::Unknown(child)) };
    match nursery.stop(child, "the run that started it stopped it").await {
        // It is on its way already, or has arrived.
        Err(RunError::Ended(_) | RunError::Step(..)) => Ok(()),
        done => done,
    }
}
