//! Whether a run may start one more.

use std::time::Duration;

use ringfence_types::{Code, RunId, Timestamp};

use crate::Run;
use crate::limits::{CHILDREN_LIVING_MAX, SPAWN_DEPTH_MAX, STARTS_RATE};
use crate::objection::Objection;
use crate::state::State;
use crate::target::Target;

/// Whether this run may start one more: not too deep, not too many at once, and not too fast. Takes nothing.
pub(crate) fn room(state: &State, run: &Run, now: Timestamp) -> Result<(), Objection> {
    if run.above.len() >= SPAWN_DEPTH_MAX {
        let reason = format!(
            "This run stands {SPAWN_DEPTH_MAX} under the first, as deep as runs may be started by one another. Do it yourself."
        );
        return Err(Objection::new(Code::NotGranted, reason));
    }
    if state.fold.runs.living_children(run.id) + starting(state, run.id) >= CHILDREN_LIVING_MAX {
        let reason = format!(
            "{CHILDREN_LIVING_MAX} runs that this one started have not ended, as many as may be. Wait for one, or stop one."
        );
        return Err(Objection::new(Code::RateLimited, reason).retry_after(Duration::from_secs(1)));
    }
    line(run).try_for_each(|of| {
        let meter = state.runs.get(&of).map(|guard| guard.starts).unwrap_or_default();
        meter.check(STARTS_RATE, now).map_err(|wait| {
            let who = if of == run.id { "This run has" } else { "The run that started this one has" };
            let reason = format!(
                "{who}, with all under it, started runs at {STARTS_RATE}, as fast as may be. Try again later."
            );
            Objection::new(Code::RateLimited, reason).retry_after(wait)
        })
    })
}

/// Counts one that was cleared, for its run and for everybody above it.
pub(crate) fn take_start(state: &mut State, run: &Run, now: Timestamp) {
    line(run).for_each(|of| state.guard(of).starts.take(STARTS_RATE, now));
}

/// The run, and who stands above it.
fn line(run: &Run) -> impl Iterator<Item = RunId> {
    std::iter::once(run.id).chain(run.above.iter().map(|ancestor| ancestor.run))
}

/// Runs that are cleared and not begun.
fn starting(state: &State, run: RunId) -> usize {
    let is_start = |target: &Target| matches!(target, Target::Agent { .. });
    let open = state.fold.open.values();
    open.filter(|open| open.subject.run == run && is_start(&open.subject.target)).count()
}
