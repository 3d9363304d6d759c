//! The first process of a sandbox: it starts the program, buries the dead, and when the program ends, so does
//! all that it left running.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, set_child_subreaper, wait};
use rustix::time::Timespec;

use super::container::Container;
use super::guard::Guard;
use super::home::Watched;
use super::restricted::Cage;
use super::{Descriptors, END_SIGNAL, PASS_SIGNAL, Prepared, Setup, container, descendants, execute};
use crate::layer::Layer;
use crate::limits::{HOLD_TIMEOUT, HOME_OWN_REMOVAL};
use crate::oci::Kind;
use crate::server::empty::empty_home;
use crate::status::ExitStatus;
use crate::system::{Namespaces, Received, next_signal};
use crate::wire::{Failure, Report, Step, receive, send_or_without, send_surely};

/// Runs the program to its end; returns this process's own exit code.
pub(super) fn run(setup: &Setup<'_>, descriptors: Descriptors, prepared: Prepared) -> i32 {
    if setup.trial {
        start_told(&descriptors.report, prepared.layers, &prepared.handed);
        tell(&descriptors.report, &Report::Exited(ExitStatus::Exited(0)));
        return 0;
    }
    run_program(setup, descriptors, prepared)
}

fn run_program(setup: &Setup<'_>, descriptors: Descriptors, prepared: Prepared) -> i32 {
    let Ok(report) = descriptors.report.try_clone() else { return 1 };
    let alone = !setup.namespaces.has(Namespaces::PROCESS);
    if alone {
        // Without a process namespace orphans come here instead of to the machine's init, to be found and ended.
        let _ = set_child_subreaper(Pid::from_raw(1));
    }
    let held = match setup.order.hold {
        Some(most) => hold(&report, prepared, most),
        None => Ok(prepared),
    };
    let (mut kernel, mut watched, mut listener) = (None, None, None);
    let program = held.and_then(|rest| {
        let Prepared { layers, handed, container, cage } = rest;
        kernel = container.as_ref().and_then(Container::kernel);
        if cage.is_some() {
            let errors = descriptors.error.try_clone();
            let errors = errors.map_err(|error| Failure::setup("copying the pipes", &error))?;
            let bytes = setup.order.limits.home_bytes;
            let user = cage.as_ref().and_then(Cage::user);
            let looked = Watched::new(setup.home, bytes, user, errors);
            watched = Some(looked.map_err(|error| Failure::setup("looking at the home", &error))?);
        }
        let program = if let Some(container) = container {
            container::start(&container, descriptors)?
        } else {
            let (program, gate) = execute::start(setup, descriptors, cage)?;
            listener = gate;
            program
        };
        Ok((program, layers, handed))
    });
    let program = match program {
        Ok((program, layers, handed)) => {
            start_told(&report, layers, &handed);
            program
        }
        Err(failure) => {
            tell(&report, &Report::Failed(failure));
            return 1;
        }
    };
    let (status, mut watched) = match watched {
        // With the guard goes the gate: nothing new is started from then on.
        Some(watched) => {
            let (status, watched) = Guard::new(program, listener, watched).await_end();
            (status, Some(watched))
        }
        None => (await_end(program, alone, kernel), None),
    };
    let left = if alone { descendants::end_all() } else { 0 };
    if let Some(watched) = &mut watched {
        if left > 0 {
            watched.tell(&format!("{left} of its processes could not be ended, and may still run"));
        }
        // Here, where it takes the time of nobody else, however much there is. What stays is left to the spawner.
        let _ = empty_home(setup.home, HOME_OWN_REMOVAL);
    }
    tell(&report, &Report::Exited(status));
    0
}

/// Says that everything is in place and waits until the program may start; what is left to tell then.
fn hold(
    report: &OwnedFd,
    Prepared { layers, handed, container, cage }: Prepared,
    most: Duration,
) -> Result<Prepared, Failure> {
    hand_out(report, &Report::Held(layers), &handed);
    let mut polled = [PollFd::new(report, PollFlags::IN)];
    let timeout = Timespec::try_from(most.min(HOLD_TIMEOUT)).unwrap_or_default();
    let waited = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&timeout)));
    // There is one thing to be told; the end of the stream is the spawner's, and nothing may start then.
    let told = waited.is_ok_and(|count| count > 0)
        && receive(report, &mut [0; 1]).is_ok_and(|packet| packet.is_some());
    if told {
        return Ok(Prepared { layers: Vec::new(), handed: Vec::new(), container, cage });
    }
    Err(Failure { step: Step::Held, errno: 0, text: "nobody started the program".to_owned() })
}

/// Says that the program runs, and hands out the sockets and volumes; they do not stay in here.
fn start_told(report: &OwnedFd, layers: Vec<Layer>, handed: &[OwnedFd]) {
    hand_out(report, &Report::Started(layers), handed);
}

fn hand_out(report: &OwnedFd, what: &Report, handed: &[OwnedFd]) {
    let borrowed: Vec<_> = handed.iter().map(AsFd::as_fd).collect();
    // If the spawner has gone, the parent-death signal is on its way.
    let _ = send_or_without(report, &what.encode(), &borrowed);
}

/// Waits until the program ends, or this process is told to end everything.
fn await_end(program: Pid, alone: bool, kernel: Option<Kind>) -> ExitStatus {
    let wanted = [Signal::CHILD, Signal::TERM, END_SIGNAL, PASS_SIGNAL].map(Signal::as_raw);
    loop {
        let Some(Received { signal, value }) = next_signal(&wanted, None) else { continue };
        if signal == END_SIGNAL.as_raw() {
            return ExitStatus::Killed;
        }
        if signal == PASS_SIGNAL.as_raw() {
            pass_on(program, alone, kernel, value);
        }
        if signal == Signal::TERM.as_raw() {
            // Passed on to the program and what shares its process group; an error means that it has just ended.
            let _ = kill_process_group(program, Signal::TERM);
        }
        if let Some(status) = bury(program) {
            return status;
        }
    }
}

fn pass_on(program: Pid, alone: bool, kernel: Option<Kind>, value: i32) {
    let Some(signal) = Signal::from_named_raw(value.unsigned_abs().cast_signed()) else { return };
    if value > 0 {
        let _ = kill_process_group(program, signal);
    } else if let Some(kernel) = kernel {
        // It traces its program, whose processes must not be stopped behind its back.
        container::hold(kernel, signal == Signal::STOP);
    } else {
        descendants::signal_all(signal, alone);
    }
}

/// Reaps everything that has ended; the program's status if it is among them.
pub(super) fn bury(program: Pid) -> Option<ExitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            found = Some(exit_status(status));
        }
    }
    found
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Exited(code),
        (None, Some(signal)) => ExitStatus::Signaled(signal),
        (None, None) => ExitStatus::Killed,
    }
}

fn tell(report: &OwnedFd, what: &Report) {
    // If the spawner has gone, the parent-death signal is on its way.
    let _ = send_surely(report, &what.encode());
}
