//! The process that looks at a home, apart from the one that looks after the program: that one hears meanwhile, and ends a look
//! that takes too long.
//!
//! It is made before it is needed, the next one before anything can take the place of the last: a program with as
//! many processes as it may have leaves no room for one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{
    Gid, Pid, PidfdFlags, Signal, Uid, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal, waitid,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{Home, Left, Over};
use crate::limits::{HOME_PROCESSES_MAX, MESSAGE_BYTES_MAX};
use crate::system::{Cloned, Namespaces, clone_process, close_all_but, exit_now};
use crate::wire::{pair, receive, send};

/// A process that waits to look, or does.
pub(super) struct Looker {
    pid: Pid,
    handle: OwnedFd,
    channel: OwnedFd,
}

/// That all was seen, and is not too much.
const FINE: u8 = 1;

// === impl Looker ===

impl Looker {
    /// Makes one, which waits.
    pub(super) fn make(home: &Home) -> io::Result<Self> {
        let (channel, theirs) = pair()?;
        match clone_process(Namespaces::NONE)? {
            Cloned::Child => exit_now(live(home, &theirs)),
            Cloned::Parent(pid) => {
                // Nobody but us reaps it, so that the id is still its own.
                let handle = pidfd_open(pid, PidfdFlags::empty())?;
                Ok(Self { pid, handle, channel })
            }
        }
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// What is ready when it has looked, or has gone.
    pub(super) fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Has it look at what these hold.
    pub(super) fn go(&self, processes: &[Pid]) -> Result<(), Over> {
        if processes.len() > HOME_PROCESSES_MAX {
            return Err(Over::Unseen);
        }
        // What is told is never nothing.
        let mut told = vec![FINE];
        told.extend(processes.iter().flat_map(|pid| pid.as_raw_nonzero().get().to_ne_bytes()));
        send(&self.channel, &told, &[]).map_err(|_| Over::Unseen)
    }

    /// What it found, when it is said to be ready. One that has gone without a word has seen nothing.
    pub(super) fn verdict(&self) -> Result<(), Over> {
        let mut code = [0];
        let said = receive(&self.channel, &mut code).ok().flatten();
        match said.map(|_| code[0]) {
            Some(FINE) => Ok(()),
            Some(code) => Err(Over::from_code(code).unwrap_or(Over::Unseen)),
            None => Err(Over::Unseen),
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        // Whoever buries everybody may have been first.
        let _ =
            rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED));
    }
}

fn live(home: &Home, channel: &OwnedFd) -> i32 {
    // What belongs to the program and its first process is not to live on in here.
    let keep = [channel.as_raw_fd(), home.folder.as_raw_fd()];
    let bound = close_all_but(&keep).is_ok() && set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let mut told = vec![0; MESSAGE_BYTES_MAX];
    let Some(length) = receive(channel, &mut told).ok().flatten().map(|packet| packet.length) else {
        return 0;
    };
    let numbers = told[1..length].as_chunks().0.iter();
    let processes: Vec<Pid> = numbers.filter_map(|raw| Pid::from_raw(i32::from_ne_bytes(*raw))).collect();
    let found = if bound { look(home, &processes) } else { Err(Over::Unseen) };
    let code = found.map_or_else(|over| over as u8, |()| FINE);
    i32::from(send(channel, &[code], &[]).is_err())
}

/// First at what has a name, with the rights of the node; then at what processes hold, as one of the program's user: not every root
/// may look at others.
fn look(home: &Home, processes: &[Pid]) -> Result<(), Over> {
    let mut left = Left::of(home);
    left.take_named(&home.folder)?;
    become_user(home.user).map_err(|_| Over::Unseen)?;
    left.take_held(processes, &home.path)
}

fn become_user(user: Option<u32>) -> io::Result<()> {
    if let Some(user) = user {
        set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
    }
    // The kernel forgets it with the user.
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}
