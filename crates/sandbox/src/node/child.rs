//! A running child, as the node holds it.

use std::fmt;
use std::sync::Arc;

use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::spawner::Shared;
use super::stderr::BoundedStderr;
use crate::layer::Layers;
use crate::status::ExitStatus;
use crate::wire::SignalKind;

/// A child's number, unique for the life of a spawner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub(super) u64);

/// A child that runs, with the ends of its pipes.
#[derive(Debug)]
pub struct Child {
    /// The process: dropped, it is killed with everything below it.
    pub process: Process,
    /// Its standard input; dropped, the child reads the end.
    pub stdin: pipe::Sender,
    /// Its standard output.
    pub stdout: pipe::Receiver,
    /// The last of its standard error.
    pub stderr: BoundedStderr,
}

/// A child's process and everything below it. Dropped, all of it is killed.
#[derive(Debug)]
pub struct Process {
    pub(super) id: u64,
    pub(super) pid: u32,
    pub(super) layers: Layers,
    pub(super) ended: watch::Receiver<Option<ExitStatus>>,
    pub(super) leash: Leash,
}

/// Kills the child when dropped.
#[derive(Debug)]
pub(super) struct Leash {
    pub(super) id: u64,
    pub(super) shared: Arc<Shared>,
}

// === impl ChildId ===

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

// === impl Process ===

impl Process {
    /// Its number.
    pub fn id(&self) -> ChildId {
        ChildId(self.id)
    }

    /// The process id, on the machine, of the first process of its sandbox; the program is below it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The layers in force around it, and those that are missing.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Waits until it has ended and nothing of it is left. Can be called again, and cancelled.
    pub async fn exited(&mut self) -> ExitStatus {
        match self.ended.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or(ExitStatus::Killed),
            // The sender only goes away with the spawner.
            Err(_) => ExitStatus::Killed,
        }
    }

    /// Asks it to end: SIGTERM to its process group. A polite caller closes its standard input first.
    pub fn terminate(&self) {
        self.leash.shared.signal(self.id, SignalKind::Terminate);
    }

    /// Kills it with everything below it, at once.
    pub fn kill(&self) {
        self.leash.shared.signal(self.id, SignalKind::Kill);
    }
}

// === impl Leash ===

impl Drop for Leash {
    fn drop(&mut self) {
        self.shared.signal(self.id, SignalKind::Kill);
    }
}
