//! Whether a run may start one more.

use std::time::Duration;

use ringfence_types::{Code, RunId};

use crate::Run;
use crate::limits::{CHILDREN_LIVING_MAX, SPAWN_DEPTH_MAX};
use crate::objection::Objection;
use crate::state::State;
use crate::target::Target;

/// Whether this run may start one more: not too deep, and not too many at once. Takes nothing.
pub(crate) fn room(state: &State, run: &Run) -> Result<(), Objection> {
    if run.above.len() >= SPAWN_DEPTH_MAX {
        let reason = format!(
            "This run stands {SPAWN_DEPTH_MAX} under the first, as deep as runs may be started by one another. Do it yourself."
        );
        return Err(Objection::new(Code::NotGranted, reason));
    }
    if state.fold.runs.living_children(run.id) + starting(state, run.id) < CHILDREN_LIVING_MAX {
        return Ok(());
    }
    let reason = format!(
        "{CHILDREN_LIVING_MAX} runs that this one started have not ended, as many as may be. Wait for one, or stop one."
    );
    Err(Objection::new(Code::RateLimited, reason).retry_after(Duration::from_secs(1)))
}

/// Runs that are cleared and not begun.
fn starting(state: &State, run: RunId) -> usize {
    let is_start = |target: &Target| matches!(target, Target::Agent { .. });
    let open = state.fold.open.values();
    open.filter(|open| open.subject.run == run && is_start(&open.subject.target)).count()
}
