//! The children of a spawner: watched until nothing of them is left.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::time::Timespec;

use crate::inside::END_SIGNAL;
use crate::limits::{REPORT_BYTES_MAX, STOP_TIMEOUT};
use crate::status::ExitStatus;
use crate::wire::{Failure, Notice, Report, SignalKind, Step, receive};

/// All children, by the number the node gave.
#[derive(Default)]
pub(crate) struct Children(BTreeMap<u64, Child>);

/// One child: the first process of its sandbox.
pub(crate) struct Child {
    pid: Pid,
    handle: OwnedFd,
    /// Closed once the first process has said everything.
    report: Option<OwnedFd>,
    namespaced: bool,
    home: Option<PathBuf>,
    started: bool,
    failure: Option<Failure>,
    status: Option<ExitStatus>,
}

// === impl Children ===

impl Children {
    pub(crate) fn add(&mut self, id: u64, child: Child) {
        self.0.insert(id, child);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What to poll.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().flat_map(|child| {
            child.report.iter().map(AsFd::as_fd).chain(std::iter::once(child.handle.as_fd()))
        })
    }

    /// Tells a child to end. One that has ended is not known any more, and that is fine.
    pub(crate) fn signal(&self, id: u64, kind: SignalKind) {
        match (self.0.get(&id), kind) {
            (Some(child), SignalKind::Kill) => child.kill(),
            (Some(child), SignalKind::Terminate) => child.terminate(),
            (None, _) => {}
        }
    }

    /// What has happened since the last time.
    pub(crate) fn progress(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.0.retain(|id, child| {
            let (started, ended) = child.progress(*id);
            notices.extend(started);
            let lives = ended.is_none();
            notices.extend(ended);
            lives
        });
        notices
    }

    /// Kills all and waits until they are gone, within the bound.
    pub(crate) fn end_all(&mut self) {
        for child in self.0.values() {
            child.kill();
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.0.is_empty() && Instant::now() < deadline {
            self.progress();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

// === impl Child ===

impl Child {
    pub(crate) fn new(
        pid: Pid,
        handle: OwnedFd,
        report: OwnedFd,
        namespaced: bool,
        home: Option<PathBuf>,
    ) -> Self {
        Self {
            pid,
            handle,
            report: Some(report),
            namespaced,
            home,
            started: false,
            failure: None,
            status: None,
        }
    }

    /// A notice that it started, and its last one when nothing of it is left.
    pub(crate) fn progress(&mut self, id: u64) -> (Option<Notice>, Option<Notice>) {
        let started = self.read_reports(id);
        if !ready(&self.handle) {
            return (started, None);
        }
        // The last report may have come between reading and looking.
        let started = started.or_else(|| self.read_reports(id));
        self.bury();
        (started, Some(self.last_notice(id)))
    }

    /// Ends everything in the sandbox, at once.
    pub(crate) fn kill(&self) {
        // Without a process namespace the first process itself must look for what is below it; before the
        // program runs there is nothing below but one process bound to it.
        let signal = if self.namespaced || !self.started { Signal::KILL } else { END_SIGNAL };
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Asks the program to end.
    fn terminate(&self) {
        let _ = pidfd_send_signal(&self.handle, Signal::TERM);
    }

    /// Waits until nothing of it is left.
    pub(crate) fn bury_blocking(mut self) {
        let mut polled = [PollFd::new(&self.handle, PollFlags::IN)];
        let _ = rustix::io::retry_on_intr(|| poll(&mut polled, None));
        self.bury();
    }

    fn read_reports(&mut self, id: u64) -> Option<Notice> {
        let mut started = None;
        while let Some(report) = self.report.as_ref().filter(|report| ready(report)) {
            let mut buffer = vec![0; REPORT_BYTES_MAX];
            let Some(said) = receive(report, &mut buffer).ok().flatten() else {
                self.report = None;
                break;
            };
            match Report::decode(&buffer[..said.length]) {
                Ok(Report::Started(layers)) => {
                    self.started = true;
                    let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
                    started = Some(Notice::Spawned { id, pid, layers });
                }
                Ok(Report::Failed(failure)) => self.failure = Some(failure),
                Ok(Report::Exited(status)) => self.status = Some(status),
                // Only our own code writes here. If it does not, nothing it says counts.
                Err(_) => {
                    self.report = None;
                    self.kill();
                }
            }
        }
        started
    }

    fn bury(&mut self) {
        let _ =
            rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED));
        if let Some(home) = self.home.take() {
            let _ = fs::remove_dir_all(home);
        }
    }

    fn last_notice(&mut self, id: u64) -> Notice {
        if self.started {
            return Notice::Exited { id, status: self.status.unwrap_or(ExitStatus::Killed) };
        }
        let unsaid = || Failure {
            step: Step::Setup,
            errno: 0,
            text: "the sandbox was killed before the program ran".to_owned(),
        };
        Notice::Failed { id, failure: self.failure.take().unwrap_or_else(unsaid) }
    }
}

/// Whether a descriptor has something to read, or its end.
fn ready(descriptor: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count > 0)
}
