//! Whoever starts the runs that runs ask for.

use std::pin::Pin;
use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::{Refusal, RunId};

use super::SpawnClearance;
use crate::{Run, RunError};

/// What will be there later.
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The last part of what a run wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    /// Its lines, each with `at`, `stream` and `text`.
    pub lines: Vec<Object>,
    /// Whether that is all of it.
    pub is_whole: bool,
}

/// Whoever starts the runs that runs ask for. The gateway asks, with a clearance; `runs` starts: neither knows the other.
pub trait Nursery: Send + Sync + 'static {
    /// Starts a run that was cleared: it stands in the log and waits for its place when this answers. Goes on to that point
    /// also where nobody waits for the answer any more.
    ///
    /// # Errors
    /// When it cannot be started, as the agent is told; nothing was started then.
    fn start(&self, clearance: SpawnClearance) -> Later<'_, Result<Arc<Run>, Refusal>>;

    /// The last part of what a run has written, of at most so many bytes; nothing where nothing is kept.
    fn printed(&self, run: RunId, bytes_max: u64) -> Later<'_, Printed>;

    /// Asks a run to end, on behalf of the one that started it.
    ///
    /// # Errors
    /// As [`Kernel::step_run`](crate::Kernel::step_run).
    fn stop<'a>(&'a self, run: RunId, reason: &'a str) -> Later<'a, Result<(), RunError>>;
}
