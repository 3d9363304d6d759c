//! A sandbox that is in place and whose program does not run yet.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::child::{Child, ChildId};
use super::spawner::await_answer;
use super::table::Answer;
use crate::driver::Posture;
use crate::error::SpawnError;
use crate::layer::Layers;
use crate::network::Sockets;
use crate::refusal::Named;

/// A sandbox that is in place and holds right before its program is executed: for as long
/// as [`crate::Command::hold_at_most`] says, then it ends by itself. Dropped, nothing of it is left.
#[derive(Debug)]
pub struct Created {
    pub(super) child: Child,
    /// That the program runs, or why not.
    pub(super) runs: oneshot::Receiver<Answer>,
    pub(super) named: Named,
}

// === impl Created ===

impl Created {
    /// Its number, which its child keeps.
    pub fn id(&self) -> ChildId {
        self.child.process.id()
    }

    /// As [`crate::Process::pid`].
    pub fn pid(&self) -> u32 {
        self.child.process.pid()
    }

    /// The layers in force around it, and those that are missing.
    pub fn layers(&self) -> &Layers {
        self.child.process.layers()
    }

    /// Its driver, and the layers.
    pub fn posture(&self) -> Posture {
        self.child.process.posture()
    }

    /// As [`Child::take_sockets`]: what is served before the program runs, answers its first request.
    pub fn take_sockets(&mut self) -> Option<Sockets> {
        self.child.take_sockets()
    }

    /// As [`Child::take_volumes`]: what is written there now, the program finds. What the node's user makes belongs to
    /// the child's.
    pub fn take_volumes(&mut self) -> Vec<(PathBuf, OwnedFd)> {
        self.child.take_volumes()
    }

    /// Lets the program start and waits, at most [`crate::limits::SPAWN_TIMEOUT`], until it runs. Dropped before,
    /// nothing of the child is left.
    ///
    /// # Errors
    /// As [`crate::Spawner::spawn`] for what goes wrong then, and [`SpawnError::HeldTooLong`].
    pub async fn exec(self) -> Result<Child, SpawnError> {
        let Self { child, runs, named } = self;
        child.process.execute();
        await_answer(runs, &named).await?;
        Ok(child)
    }
}
