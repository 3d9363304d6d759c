//! The first process of a sandbox: it starts the program, buries the dead, and when the program ends, so does
//! all that it left running.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, set_child_subreaper, wait};

use super::{Descriptors, END_SIGNAL, Setup, descendants, execute};
use crate::layer::Layer;
use crate::status::ExitStatus;
use crate::system::{Namespaces, next_signal};
use crate::wire::{Order, Report, send};

/// Runs the program to its end; returns this process's own exit code.
pub(super) fn run(setup: &Setup<'_>, descriptors: Descriptors, layers: &[Layer]) -> i32 {
    let Some(order) = setup.order else {
        tell(&descriptors.report, &Report::Started(layers.to_vec()));
        tell(&descriptors.report, &Report::Exited(ExitStatus::Exited(0)));
        return 0;
    };
    run_program(setup, order, descriptors, layers)
}

fn run_program(setup: &Setup<'_>, order: &Order, descriptors: Descriptors, layers: &[Layer]) -> i32 {
    let Ok(report) = descriptors.report.try_clone() else { return 1 };
    let alone = !setup.namespaces.has(Namespaces::PROCESS);
    if alone {
        // Without a process namespace orphans come here instead of to the machine's init, to be found and ended.
        let _ = set_child_subreaper(Pid::from_raw(1));
    }
    let program = match execute::start(setup, order, descriptors) {
        Ok(program) => program,
        Err(failure) => {
            tell(&report, &Report::Failed(failure));
            return 1;
        }
    };
    tell(&report, &Report::Started(layers.to_vec()));
    let status = await_end(program);
    if alone {
        descendants::end_all();
    }
    tell(&report, &Report::Exited(status));
    0
}

/// Waits until the program ends, or this process is told to end everything.
fn await_end(program: Pid) -> ExitStatus {
    let wanted = [Signal::CHILD, Signal::TERM, END_SIGNAL].map(Signal::as_raw);
    loop {
        let signal = next_signal(&wanted);
        if signal == END_SIGNAL.as_raw() {
            return ExitStatus::Killed;
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

/// Reaps everything that has ended; the program's status if it is among them.
fn bury(program: Pid) -> Option<ExitStatus> {
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
    let _ = send(report.as_fd(), &what.encode(), &[]);
}
