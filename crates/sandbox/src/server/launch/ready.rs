//! A first process that is made before its order comes.
//!
//! Half of what a start takes is making namespaces and a network in them, and is the same for every box. It is done while
//! nothing else is to do, for the next one. What is made ahead holds nothing of any order; it sees the machine's mounts, and
//! what of its system roots show, as they were then, and so is of no use any more when these have changed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use rustix::time::Timespec;

use super::Launcher;
use crate::cgroup::Cgroup;
use crate::driver::Confinement;
use crate::inside::{self, Setup};
use crate::network::Network;
use crate::root::Root;
use crate::server::children::Child;
use crate::system::{Cloned, Namespaces, clone_process, clone_process_into};
use crate::wire::{Order, hand_over, pair, send};

/// The machine's mounts, as this process sees them; waiting for a priority event is waiting for a change.
const MOUNTS: &str = "/proc/self/mountinfo";

/// The process, and what belongs to it.
pub(super) struct Ready {
    pid: Pid,
    handle: OwnedFd,
    report: OwnedFd,
    /// Of v2 the one that it was made in; of v1 those that it enters.
    cgroup: Cgroup,
    machine: Machine,
}

/// What of the machine it has taken, as it was before it was made.
struct Machine {
    /// Opened then.
    mounts: File,
    shown: Vec<Option<(u64, u64)>>,
}

/// A descriptor that has a priority event when the machine's mounts change.
pub(crate) fn watch_mounts() -> io::Result<File> {
    File::open(MOUNTS)
}

// === impl Launcher ===

impl Launcher {
    /// Makes a first process for the next box, if there is none and one has been started since the last was made: one that
    /// was thrown away is not made again and again on a machine whose mounts change all the time.
    pub(super) fn make_ready(&self) {
        if self.ready_wanted.replace(false) && self.ready.borrow().is_none() && self.boxed.is_ok() {
            // Whatever it lacks now, the start of a box says.
            self.ready.replace(self.new_ready().ok());
        }
    }

    fn new_ready(&self) -> io::Result<Ready> {
        let machine = Machine { mounts: watch_mounts()?, shown: self.etc.identities() };
        let (mine, report) = pair()?;
        let order = Order::trial(Some(Root::system()), Network::Gateway, crate::Limits::default());
        let namespaces = self.boxes.namespaces;
        let mut cgroup = self.cgroups.take_spare();
        let setup = Setup {
            order: &order,
            trial: false,
            namespaces,
            late: Namespaces::NONE,
            cgroup: None,
            etc: &self.etc,
            refused: &self.boxes.refused,
            hidden: &self.hidden,
            homes: self.homes.path(),
            home: self.homes.path(),
            identity: self.identity,
            filters: &self.filters,
            open_files: self.open_files,
        };
        let cloned = cgroup.joinable().and_then(|joinable| match joinable.unified() {
            Some(folder) => clone_process_into(namespaces, folder),
            None => clone_process(namespaces),
        });
        let made = cloned.and_then(|cloned| match cloned {
            Cloned::Child => inside::wait(&setup, self.boxes.late, report),
            Cloned::Parent(pid) => match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(handle) => Ok((pid, handle)),
                Err(error) => {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                    Err(error.into())
                }
            },
        });
        match made {
            Ok((pid, handle)) => Ok(Ready { pid, handle, report: mine, cgroup, machine }),
            Err(error) => {
                cgroup.remove();
                Err(error)
            }
        }
    }

    /// Gives an order to the process that is ready, if there is one and the order is for such a process; else the
    /// standard streams come back.
    pub(super) fn use_ready(
        &self,
        order: &Order,
        trial: bool,
        stdio: [OwnedFd; 3],
    ) -> Result<Child, [OwnedFd; 3]> {
        self.ready_wanted.set(self.ready_wanted.get() || (!trial && order.root.is_some()));
        let fits = !trial
            && order.root.as_ref().is_some_and(|root| root.stands_on(&Root::system()))
            && order.network == Network::Gateway
            && order.confinement == Confinement::Local
            && order.hidden.is_empty();
        let Some(ready) = fits.then(|| self.ready.take()).flatten() else { return Err(stdio) };
        if ready.machine.has_changed(&self.etc.identities()) {
            ready.end();
            return Err(stdio);
        }
        let Ready { pid, handle, report, cgroup, machine } = ready;
        self.cgroups.give_spare(cgroup);
        let (cgroup, limits) = self.cgroup(order, self.boxes.namespaces);
        let given = cgroup.joinable().and_then(|joinable| {
            let descriptors: Vec<BorrowedFd<'_>> =
                stdio.iter().chain(joinable.old()).map(AsFd::as_fd).collect();
            send(&report, &hand_over(order, &limits), &descriptors)
        });
        if given.is_err() {
            // It has ended before its time: the order goes the long way.
            Ready { pid, handle, report, cgroup, machine }.end();
            return Err(stdio);
        }
        let namespaced = self.boxes.namespaces.has(Namespaces::PROCESS);
        Ok(Child::new(pid, handle, report, namespaced, None, cgroup))
    }

    /// The process that is ready, if there is one.
    pub(crate) fn ready_process(&self) -> Option<Pid> {
        self.ready.borrow().as_ref().map(|ready| ready.pid)
    }

    /// Ends the process that is ready: the machine's mounts have changed, which it would keep from being released.
    pub(crate) fn forget_ready(&self) {
        if let Some(ready) = self.ready.take() {
            ready.end();
        }
    }
}

// === impl Machine ===

impl Machine {
    /// Whether mounts or what is shown have changed since, or it cannot be found out.
    fn has_changed(&self, shown: &[Option<(u64, u64)>]) -> bool {
        let mut polled = [PollFd::new(&self.mounts, PollFlags::PRI)];
        let remounted =
            poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_or(true, |count| count > 0);
        remounted || self.shown != shown
    }
}

// === impl Ready ===

impl Ready {
    fn end(mut self) {
        // In a process namespace or not: there is nothing below it yet.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        let _ =
            rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED));
        self.cgroup.remove();
    }
}
