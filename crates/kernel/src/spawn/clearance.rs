//! The right to start one run once.

use ringfence_policy::Narrowing;

use super::{RunBounds, SpawnCall};
use crate::permit::{Cleared, Held, tells_of_its_permit};
use crate::{Outcome, Receipt};

/// As a [`Clearance`](crate::Clearance), the right of a run to start another. [`Kernel::begin_child`] takes it, and nothing
/// else begins a run that stands under one.
///
/// [`Kernel::begin_child`]: crate::Kernel::begin_child
#[derive(Debug)]
#[must_use = "a clearance that is not executed settles as an unknown outcome"]
pub struct SpawnClearance(Held);

impl From<Held> for SpawnClearance {
    // INVARIANT: the held permit is one for a run: `Kernel::admit_spawn` asks for nothing else.
    fn from(held: Held) -> Self {
        Self(held)
    }
}

// === impl SpawnClearance ===

tells_of_its_permit!(SpawnClearance);

impl SpawnClearance {
    /// What is to be started: as it was decided, which may not be what the agent asked for.
    pub fn call(&self) -> &SpawnCall {
        match &self.permit().sent {
            Cleared::Spawn(call) => call,
            // See `From<Held>`.
            Cleared::Call(_) | Cleared::Model(_) | Cleared::Egress(_) => {
                unreachable!("a clearance for a run says which")
            }
        }
    }

    /// What was changed in what the agent asked for, to tell it.
    pub fn narrowed(&self) -> &[Narrowing] {
        &self.permit().narrowed
    }

    /// What the run is given, within what was asked for and what rules allow.
    pub(crate) fn bounds(&self) -> RunBounds {
        let (asked, obligations) = (self.call().bounds(), self.obligations());
        let wall = asked.wall.into_iter().chain(obligations.timeout).min();
        RunBounds { wall, result_bytes: obligations.max_result_bytes, ..asked }
    }

    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    /// Records what came of it and gives back what it held. Never waits for the disk.
    pub fn settle(self, outcome: Outcome) -> Receipt {
        self.0.settle(&outcome)
    }
}
