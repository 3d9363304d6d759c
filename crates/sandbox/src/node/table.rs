//! What the node knows of its children: who waits for which.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::layer::Layer;
use crate::stats::Stats;
use crate::status::ExitStatus;
use crate::wire::{Failure, Notice};

/// What the spawner answered to an order; `None` in its place: the spawner has died.
pub(super) type Answer = Result<Started, Failure>;

/// A child that is in place, or whose program runs.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) layers: Vec<Layer>,
    /// Its listening sockets, if its network leads to them, and its volumes.
    pub(super) handed: Vec<OwnedFd>,
}

/// Every child that has not ended, by number; `None` when the spawner has died.
#[derive(Debug)]
pub(super) struct Table(Mutex<Option<HashMap<u64, Slot>>>);

/// How a child ended, and what it used in all, where a cgroup kept that.
pub(super) type Ended = (ExitStatus, Option<Stats>);

/// One child.
#[derive(Debug)]
pub(super) struct Slot {
    /// Who waits for the answers still to come: that it is held, if it is to be, and that its program runs.
    pub(super) starting: VecDeque<oneshot::Sender<Answer>>,
    pub(super) ended: watch::Sender<Option<Ended>>,
    /// Its place among [`crate::limits::CHILDREN_MAX`].
    pub(super) place: OwnedSemaphorePermit,
    /// Who waits to hear what it uses, in the order of asking.
    pub(super) measuring: VecDeque<oneshot::Sender<Option<Stats>>>,
}

// === impl Table ===

impl Table {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }

    /// Adds a child; false when the spawner has died.
    pub(super) fn add(&self, id: u64, slot: Slot) -> bool {
        self.lock().as_mut().is_some_and(|slots| {
            slots.insert(id, slot);
            true
        })
    }

    /// Applies a notice. One about a child that is not known is a defect of the spawner, and the end of it.
    pub(super) fn apply(&self, notice: Notice, descriptors: Vec<OwnedFd>) -> Result<(), &'static str> {
        let mut slots = self.lock();
        let slots = slots.as_mut().ok_or("a notice after the end")?;
        match notice {
            Notice::Held { id, pid, layers } | Notice::Spawned { id, pid, layers } => {
                let slot = slots.get_mut(&id).ok_or("an unknown child started")?;
                let waiting = slot.starting.pop_front().ok_or("a child started twice")?;
                // Nobody waits any more: the order was cancelled, and its kill is on its way.
                let _ = waiting.send(Ok(Started { pid, layers, handed: descriptors }));
            }
            Notice::Failed { id, failure } => {
                let mut slot = slots.remove(&id).ok_or("an unknown child failed")?;
                slot.ended.send_replace(Some((ExitStatus::Killed, None)));
                let waiting = slot.starting.pop_front().ok_or("a child failed after it started")?;
                let _ = waiting.send(Err(failure));
            }
            Notice::Exited { id, status, used } => {
                let slot = slots.remove(&id).ok_or("an unknown child ended")?;
                slot.ended.send_replace(Some((status, used)));
                drop(slot.place);
            }
            // One that has ended in between has no slot, and nobody waits.
            Notice::Measured { id, stats } => {
                let waiting = slots.get_mut(&id).and_then(|slot| slot.measuring.pop_front());
                if let Some(waiting) = waiting {
                    let _ = waiting.send(stats);
                }
            }
            Notice::Ready { .. } | Notice::Unready { .. } => return Err("a second greeting"),
        }
        Ok(())
    }

    /// Waits for what a child uses; `None` when it has ended.
    pub(super) fn measuring(&self, id: u64) -> Option<oneshot::Receiver<Option<Stats>>> {
        let (measured, answer) = oneshot::channel();
        let mut slots = self.lock();
        slots.as_mut()?.get_mut(&id)?.measuring.push_back(measured);
        Some(answer)
    }

    /// The spawner has died, and every child with it.
    pub(super) fn end(&self) {
        let Some(slots) = self.lock().take() else { return };
        for slot in slots.into_values() {
            slot.ended.send_replace(Some((ExitStatus::Killed, None)));
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
