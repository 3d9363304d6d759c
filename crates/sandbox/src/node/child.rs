//! A running child, as the node holds it.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::spawner::Shared;
use super::stderr::BoundedStderr;
use super::table::Ended;
use crate::driver::{DriverName, Posture};
use crate::layer::Layers;
use crate::network::Sockets;
use crate::stats::Stats;
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
    pub(super) driver: (DriverName, Option<String>),
    pub(super) ended: watch::Receiver<Option<Ended>>,
    pub(super) leash: Leash,
    pub(super) sockets: Option<Sockets>,
    pub(super) volumes: Vec<(PathBuf, OwnedFd)>,
    pub(super) errors: Option<pipe::Receiver>,
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

// === impl Child ===

impl Child {
    /// Its listening sockets, once, if its network is [`crate::Network::Gateway`]. Until they are served, what it
    /// asks of the network waits; dropped, everything it asks is refused.
    pub fn take_sockets(&mut self) -> Option<Sockets> {
        self.process.sockets.take()
    }

    /// The folders of [`crate::Command::volume`], once, in that order, by where they are in its root. Each stays
    /// readable for as long as its descriptor is held, also when nothing of the child is left. While it runs, what is in
    /// them changes at its will: open beneath them, over no link.
    pub fn take_volumes(&mut self) -> Vec<(PathBuf, OwnedFd)> {
        std::mem::take(&mut self.process.volumes)
    }

    /// Its standard error, once, if the command said [`crate::Command::errors_unread`].
    pub fn take_errors(&mut self) -> Option<pipe::Receiver> {
        self.process.errors.take()
    }

    /// As [`Process::signal`].
    pub fn signal(&self, signal: i32) {
        self.process.signal(signal);
    }

    /// As [`Process::pause`].
    pub fn pause(&self) {
        self.process.pause();
    }

    /// As [`Process::resume`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// As [`Process::stats`].
    pub async fn stats(&self) -> Option<Stats> {
        self.process.stats().await
    }

    /// As [`Process::kill`].
    pub fn kill(&self) {
        self.process.kill();
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

    /// Its driver, and the layers.
    pub fn posture(&self) -> Posture {
        let (driver, version) = self.driver.clone();
        Posture { driver, version, layers: self.layers.clone() }
    }

    /// Waits until it has ended and nothing of it is left. Can be called again, and cancelled.
    pub async fn exited(&mut self) -> ExitStatus {
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.map_or(ExitStatus::Killed, |(status, _)| status),
            // The sender only goes away with the spawner.
            Err(_) => ExitStatus::Killed,
        }
    }

    /// Asks it to end: SIGTERM to its process group. A polite caller closes its standard input first.
    pub fn terminate(&self) {
        self.leash.shared.signal(self.id, SignalKind::Terminate);
    }

    /// Sends a signal, 1 to 31, to its process group; other numbers do nothing.
    pub fn signal(&self, signal: i32) {
        if (1..=31).contains(&signal) {
            self.leash.shared.signal(self.id, SignalKind::Number(signal));
        }
    }

    /// Stops everything in its sandbox: by a freezer where the layer [`crate::LayerName::Freezer`] is in force, without
    /// the programs noticing; else by SIGSTOP to all of them.
    pub fn pause(&self) {
        self.leash.shared.signal(self.id, SignalKind::Pause);
    }

    /// Lets everything in its sandbox go on.
    pub fn resume(&self) {
        self.leash.shared.signal(self.id, SignalKind::Resume);
    }

    /// What it uses, everything below it included; `None` when it has ended.
    pub async fn stats(&self) -> Option<Stats> {
        self.leash.shared.measure(self.id).await
    }

    /// What it used in all, everything below it included: once it has ended, where a cgroup kept that.
    pub fn used(&self) -> Option<Stats> {
        self.ended.borrow().and_then(|(_, used)| used)
    }

    /// Lets its program start, if it is held.
    pub(super) fn execute(&self) {
        self.leash.shared.execute(self.id);
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
