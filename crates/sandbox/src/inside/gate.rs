//! The way to new processes: a program without a process namespace makes none before its first process has let it.
//!
//! Nothing of what is asked is judged, so that nothing can be changed between being judged and being done. While the gate is
//! shut who asks waits, and once it has gone, as when the first process has, the kernel answers that there is no such
//! call: then what runs grows no more, and can be ended. A thread is no new process: it holds what the others hold,
//! stops and ends with them, and needs no leave.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::seccomp::Filters;
use crate::system::{answer_nearby, let_call_go_on, listen_to_calls, receive_call};

/// What a process asks before it makes another.
pub(super) struct Gate {
    /// `None` when nobody is left who could ask.
    listener: Option<OwnedFd>,
    shut: bool,
    /// Who waits.
    waiting: Vec<u64>,
}

/// Makes this process, and all it starts, ask; who has the descriptor answers.
pub(super) fn install(filters: &Filters) -> io::Result<OwnedFd> {
    let program = filters.gate.as_ref().map_err(|why| io::Error::other(why.clone()))?;
    listen_to_calls(program)
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(listener: OwnedFd) -> Self {
        answer_nearby(listener.as_fd());
        Self { listener: Some(listener), shut: false, waiting: Vec::new() }
    }

    /// What is ready when somebody asks.
    pub(super) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// Takes all who ask at the moment: who has been heard is not disturbed by signals any more.
    pub(super) fn hear(&mut self) {
        while let Some(listener) = &self.listener {
            let mut polled = [PollFd::new(listener, PollFlags::IN)];
            let asked = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            let found = polled[0].revents();
            if !asked.is_ok_and(|count| count > 0) {
                return;
            }
            if !found.contains(PollFlags::IN) {
                // Nobody is left below.
                self.listener = None;
                return;
            }
            // Who has ended meanwhile is not there.
            let Ok(id) = receive_call(listener.as_fd()) else { return };
            self.waiting.push(id);
            if !self.shut {
                self.answer();
                return;
            }
        }
    }

    /// From now on nobody makes a new process.
    pub(super) fn shut(&mut self) {
        self.shut = true;
        self.hear();
    }

    /// Lets all go on who have waited.
    pub(super) fn open(&mut self) {
        self.shut = false;
        self.answer();
    }

    fn answer(&mut self) {
        let Some(listener) = &self.listener else { return };
        for id in self.waiting.drain(..) {
            // Who has ended needs no answer.
            let _ = let_call_go_on(listener.as_fd(), id);
        }
    }
}
