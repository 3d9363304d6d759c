//! With a run end those that it started.

use ringfence_ledger::RoomFor;
use ringfence_types::RunId;

use crate::fold::Phase;
use crate::record::{EndedBy, LifeRecord, Record, RunStep};
use crate::state::State;
use crate::{Kernel, Run};

/// Why a run is ended with the one that started it.
pub(crate) const PARENT_ENDED: &str = "the run that started it has ended";

impl Kernel {
    /// Has everything end that stands under a run which is over.
    // INVARIANT: under the lock under which the run itself was ended, so that nothing begins under it in between. Where the log
    // cannot take this, `standing` and `run_over` see the same from the run above.
    pub(crate) fn end_below(&self, state: &mut State, run: RunId) {
        for below in state.fold.runs.living_below(run) {
            let step = RunStep::Stopping { why: EndedBy::Parent, reason: PARENT_ENDED.to_owned() };
            let known = state.fold.runs.get(below);
            let Some(known) = known.filter(|known| known.phase().is_some_and(|phase| phase.may(&step)))
            else {
                continue;
            };
            let record = LifeRecord {
                workspace: known.run.workspace.clone(),
                agent: known.run.agent.clone(),
                run: below,
                above: known.run.above.clone(),
                step,
                by: crate::actor::node_name(),
            };
            let _ = state.commit(&self.0.clock, &Record::Life(record), Vec::new(), RoomFor::Operator);
        }
    }

    /// The runs under this one that have not ended, at whatever depth.
    pub fn living_below(&self, run: RunId) -> Vec<RunId> {
        self.0.state.lock().fold.runs.living_below(run)
    }

    /// Whether a run above this one is over.
    pub(crate) fn is_orphaned(&self, run: &Run) -> bool {
        let state = self.0.state.lock();
        run.above.iter().any(|above| {
            let known = state.fold.runs.get(above.run);
            known.is_none_or(|known| known.ended.is_some() || known.phase() == Some(Phase::Stopping))
        })
    }
}
