//! Sleeping until the node asks or a child changes, whatever the number of children: epoll(7).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Events that are taken at once.
const EVENTS: usize = 64;

/// The number that stands for the node; children are counted from 1.
const NODE: u64 = u64::MAX;

/// The number that stands for the machine's mounts.
const MOUNTS: u64 = u64::MAX - 1;

/// What is watched.
pub(crate) struct Watch(OwnedFd);

/// Who has something to say.
pub(crate) struct Woken {
    /// The node asks.
    pub(crate) asked: bool,
    /// The machine's mounts have changed.
    pub(crate) remounted: bool,
    /// Children, perhaps more than once.
    pub(crate) children: Vec<u64>,
}

// === impl Watch ===

impl Watch {
    /// Watches the socket to the node.
    pub(crate) fn new(node: impl AsFd) -> io::Result<Self> {
        let watch = Self(epoll::create(CreateFlags::CLOEXEC)?);
        watch.add(node, NODE)?;
        Ok(watch)
    }

    pub(crate) fn add(&self, descriptor: impl AsFd, child: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, descriptor, EventData::new_u64(child), EventFlags::IN)?)
    }

    /// Watches the machine's mounts.
    pub(crate) fn add_mounts(&self, mounts: impl AsFd) -> io::Result<()> {
        Ok(epoll::add(&self.0, mounts, EventData::new_u64(MOUNTS), EventFlags::PRI | EventFlags::ET)?)
    }

    /// Stops watching a descriptor, closed or not: a copy of it may live on for a moment in a process being started.
    pub(crate) fn forget(&self, descriptor: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, descriptor);
    }

    pub(crate) fn wait(&self) -> io::Result<Woken> {
        let mut space = [MaybeUninit::<Event>::uninit(); EVENTS];
        let events = match epoll::wait(&self.0, &mut space, None) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => &mut [],
            Err(error) => return Err(error.into()),
        };
        let mut woken = Woken { asked: false, remounted: false, children: Vec::new() };
        for event in events {
            match event.data.u64() {
                NODE => woken.asked = true,
                MOUNTS => woken.remounted = true,
                child => woken.children.push(child),
            }
        }
        Ok(woken)
    }
}
