//! The first process of a sandbox without a process namespace: it lets new processes through its gate, has the home looked
//! at while everything stands still, and hears signals meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::time::Timespec;

use super::first::bury;
use super::gate::Gate;
use super::home::{Over, Watched};
use super::still::Still;
use super::{END_SIGNAL, PASS_SIGNAL};
use crate::limits::SIGNALS_DEFERRED;
use crate::status::ExitStatus;
use crate::system::{Received, next_signal, signal_descriptor, take_short_slices};

/// Signals that stop or let go on: while everything stands still, they wait.
const MOVING: [Signal; 5] = [Signal::CONT, Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// What looks after a program.
pub(super) struct Guard {
    program: Pid,
    /// `None` where the kernel gave none.
    gate: Option<Gate>,
    watched: Watched,
    signals: Option<OwnedFd>,
    /// Everything, while it is looked at or paused.
    still: Option<Still>,
    paused: bool,
    deferred: Vec<Signal>,
}

/// What there is to be heard.
#[derive(Default)]
struct Heard {
    signal: bool,
    gate: bool,
    looker: bool,
}

const WANTED: [Signal; 4] = [Signal::CHILD, Signal::TERM, END_SIGNAL, PASS_SIGNAL];

// === impl Guard ===

impl Guard {
    pub(super) fn new(program: Pid, listener: Option<OwnedFd>, watched: Watched) -> Self {
        // The kernel refuses it where it is too old, and then all takes its turn.
        let _ = take_short_slices();
        Self {
            program,
            gate: listener.map(Gate::new),
            watched,
            // Without it, signals are asked for at every glance.
            signals: signal_descriptor(&WANTED.map(Signal::as_raw)).ok(),
            still: None,
            paused: false,
            deferred: Vec::new(),
        }
    }

    /// Waits until the program ends, or is to be ended. From then on nothing new is started in there.
    pub(super) fn await_end(mut self) -> (ExitStatus, Watched) {
        let status = loop {
            let heard = self.wait();
            if let (Some(gate), true) = (&mut self.gate, heard.gate) {
                gate.hear();
            }
            if let Some(status) = heard.signal.then(|| self.take_signals()).flatten() {
                break status;
            }
            if let Err(over) = self.look(heard.looker) {
                self.watched.say(over);
                break ExitStatus::Killed;
            }
        };
        (status, self.watched)
    }

    fn wait(&self) -> Heard {
        let gate = self.gate.as_ref().and_then(Gate::listener);
        let looker = self.watched.channel();
        let all = [self.signals.as_ref().map(AsFd::as_fd), gate, looker];
        let mut polled: Vec<PollFd<'_>> =
            all.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(self.watched.until_glance()).unwrap_or_default();
        // Whatever is wrong with it, all are asked.
        let failed = poll(&mut polled, Some(&timeout)).is_err();
        let mut found = polled.iter().map(|polled| failed || !polled.revents().is_empty());
        let mut is_ready = |there: bool| there && found.next().unwrap_or(false);
        let signal = is_ready(all[0].is_some()) || all[0].is_none();
        Heard { signal, gate: is_ready(all[1].is_some()), looker: is_ready(all[2].is_some()) && !failed }
    }

    fn take_signals(&mut self) -> Option<ExitStatus> {
        while let Some(Received { signal, value }) =
            next_signal(&WANTED.map(Signal::as_raw), Some(Duration::ZERO))
        {
            if signal == END_SIGNAL.as_raw() {
                return Some(ExitStatus::Killed);
            }
            if signal == PASS_SIGNAL.as_raw() {
                self.pass_on(value);
            }
            if signal == Signal::TERM.as_raw() {
                // Passed on to the program and what shares its process group; an error means that it has just ended.
                let _ = kill_process_group(self.program, Signal::TERM);
            }
        }
        bury(self.program)
    }

    /// To the program's process group, or, when the value is negative, a pause of everything and its end.
    fn pass_on(&mut self, value: i32) {
        let Some(signal) = Signal::from_named_raw(value.unsigned_abs().cast_signed()) else { return };
        if value < 0 {
            self.paused = signal == Signal::STOP;
            if self.paused {
                self.hold_still();
            } else if self.watched.channel().is_none() {
                self.go_on();
            }
        } else if self.still.is_some() && MOVING.contains(&signal) {
            self.deferred.truncate(SIGNALS_DEFERRED - 1);
            self.deferred.push(signal);
        } else {
            let _ = kill_process_group(self.program, signal);
        }
    }

    /// Looks at the home when it is time, and goes on when that is over.
    fn look(&mut self, heard: bool) -> Result<(), Over> {
        let still = self.still.as_ref();
        let has_held = || still.is_some_and(Still::has_held);
        if self.watched.is_seen(heard, has_held)? && !self.paused {
            self.go_on();
        }
        // What is paused gets no larger.
        if self.watched.glance()? && !self.paused {
            self.hold_still();
            self.watched.begin(self.still.as_ref().map_or(&[], Still::all));
        }
        Ok(())
    }

    /// Stops everything, and lets nobody through the gate.
    fn hold_still(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.shut();
        }
        if self.still.is_none() {
            self.still = Some(Still::bring(self.watched.looker(), self.gate.as_mut()));
        }
    }

    fn go_on(&mut self) {
        if let Some(still) = self.still.take() {
            still.release();
        }
        if let Some(gate) = &mut self.gate {
            gate.open();
        }
        for signal in self.deferred.drain(..) {
            let _ = kill_process_group(self.program, signal);
        }
    }
}
