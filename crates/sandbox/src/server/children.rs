//! The children of a spawner: watched until nothing of them is left.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::time::Timespec;

use super::empty::empty_home;
use super::watch::{Watch, Woken};
use super::{measure, rest};
use crate::cgroup::Cgroup;
use crate::inside::{END_SIGNAL, PASS_SIGNAL};
use crate::limits::{HOME_REMOVAL, REPORT_BYTES_MAX, STOP_TIMEOUT};
use crate::stats::Stats;
use crate::status::ExitStatus;
use crate::system::send_signal_with;
use crate::wire::{Failure, Notice, Report, SignalKind, Step, receive, send};

/// All children, by the number the node gave.
pub(crate) struct Children {
    all: BTreeMap<u64, Child>,
    /// Cgroups of children that have ended, which could not be removed at once.
    left: Vec<Cgroup>,
    watch: Watch,
}

/// One child: the first process of its sandbox.
pub(crate) struct Child {
    pid: Pid,
    handle: OwnedFd,
    /// `None` once the first process has said everything.
    report: Option<OwnedFd>,
    /// It, then, until it is no longer watched.
    finished: Option<OwnedFd>,
    namespaced: bool,
    /// Processes below the first one that are none of the program's.
    own_processes: u64,
    home: Option<PathBuf>,
    cgroup: Cgroup,
    started: bool,
    failure: Option<Failure>,
    status: Option<ExitStatus>,
}

/// What the node is told, with the descriptors that go with it.
pub(crate) struct Telling {
    pub(crate) notice: Notice,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// What has happened to a child: a notice that it is held or has started, and its last one when nothing of it is left.
pub(crate) struct Progress {
    pub(crate) started: Option<Telling>,
    pub(crate) ended: Option<Notice>,
}

// === impl Children ===

impl Children {
    pub(crate) fn new(watch: Watch) -> Self {
        Self { all: BTreeMap::new(), left: Vec::new(), watch }
    }

    /// Watches a child; one that cannot be watched is ended.
    pub(crate) fn add(&mut self, id: u64, mut child: Child) -> io::Result<()> {
        let watched = [Some(&child.handle), child.report.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(|descriptor| self.watch.add(descriptor, id));
        if watched.is_err() {
            self.watch.forget(child.handle.as_fd());
            child.kill();
            child.bury();
            child.clean(None);
            self.left.push(child.cgroup);
            return watched;
        }
        self.all.insert(id, child);
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Sleeps until something has happened.
    pub(crate) fn wait(&self) -> io::Result<Woken> {
        self.watch.wait()
    }

    /// Tells a child something. One that has ended is not known any more, and that is fine.
    pub(crate) fn signal(&self, id: u64, kind: SignalKind) {
        if let Some(child) = self.all.get(&id) {
            child.signal(kind);
        }
    }

    /// Lets the program of a child start that is held.
    pub(crate) fn execute(&self, id: u64) {
        if let Some(report) = self.all.get(&id).and_then(|child| child.report.as_ref()) {
            // One that has just ended has a last notice on its way.
            let _ = send(report, &[0], &[]);
        }
    }

    /// What a child uses.
    pub(crate) fn measure(&self, id: u64) -> Option<Stats> {
        self.all.get(&id).and_then(Child::measure)
    }

    /// What has happened to these since the last time. `ready` is another process of the spawner's.
    pub(crate) fn progress(&mut self, woken: &[u64], ready: Option<Pid>) -> Vec<Telling> {
        let mut tellings = Vec::new();
        for id in woken {
            let known: Vec<Pid> = self.all.values().map(|child| child.pid).chain(ready).collect();
            let Some(child) = self.all.get_mut(id) else { continue };
            let Progress { started, ended } = child.progress(*id);
            tellings.extend(started);
            if let Some(report) = child.finished.take() {
                self.watch.forget(report.as_fd());
            }
            if let Some(notice) = ended {
                child.clean(Some(&known));
                tellings.push(Telling { notice, descriptors: Vec::new() });
                self.forget(*id);
            }
        }
        tellings
    }

    /// Removes what is left of children that have ended: empty cgroups, and what is in those that are not.
    pub(crate) fn tidy(&mut self) {
        self.left.retain_mut(|cgroup| {
            let gone = cgroup.remove() || (cgroup.kill() == 0 && cgroup.remove());
            !gone
        });
    }

    fn forget(&mut self, id: u64) {
        let Some(child) = self.all.remove(&id) else { return };
        for descriptor in
            [Some(&child.handle), child.report.as_ref(), child.finished.as_ref()].into_iter().flatten()
        {
            self.watch.forget(descriptor.as_fd());
        }
        self.left.push(child.cgroup);
    }

    /// Kills all and waits until they are gone, within the bound.
    pub(crate) fn end_all(&mut self, ready: Option<Pid>) {
        for child in self.all.values() {
            child.kill();
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !(self.all.is_empty() && self.left.is_empty()) && Instant::now() < deadline {
            let all: Vec<u64> = self.all.keys().copied().collect();
            self.progress(&all, ready);
            self.tidy();
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
        cgroup: Cgroup,
    ) -> Self {
        Self {
            pid,
            handle,
            report: Some(report),
            finished: None,
            namespaced,
            own_processes: 0,
            home,
            cgroup,
            started: false,
            failure: None,
            status: None,
        }
    }

    /// Says how many processes below the first one are none of the program's.
    pub(crate) const fn with_own(mut self, processes: u64) -> Self {
        self.own_processes = processes;
        self
    }

    /// What has happened since the last time.
    pub(crate) fn progress(&mut self, id: u64) -> Progress {
        let started = self.read_reports(id);
        if !ready(&self.handle) {
            return Progress { started, ended: None };
        }
        // The last report may have come between reading and looking.
        let started = started.or_else(|| self.read_reports(id));
        self.bury();
        Progress { started, ended: Some(self.last_notice(id)) }
    }

    /// Waits until there is more to say, or the deadline.
    pub(crate) fn await_more(&self, deadline: Instant) {
        let mut polled: Vec<PollFd<'_>> =
            self.report.iter().chain([&self.handle]).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        let _ = poll(&mut polled, Some(&left));
    }

    /// Removes its cgroup, when it has ended.
    pub(crate) fn leave_cgroup(&mut self) {
        self.cgroup.remove();
    }

    /// Ends everything in the sandbox, at once.
    pub(crate) fn kill(&self) {
        // Without a process namespace the first process itself must look for what is below it; before the
        // program runs there is nothing below but one process bound to it.
        let signal = if self.namespaced || !self.started { Signal::KILL } else { END_SIGNAL };
        let _ = pidfd_send_signal(&self.handle, signal);
        // What is frozen does not die in a cgroup of v1, and END_SIGNAL must be heard in any.
        self.cgroup.freeze(false);
    }

    fn signal(&self, kind: SignalKind) {
        match kind {
            SignalKind::Kill => self.kill(),
            SignalKind::Terminate => {
                let _ = pidfd_send_signal(&self.handle, Signal::TERM);
            }
            SignalKind::Number(number) => self.pass(number),
            SignalKind::Pause if self.cgroup.freezes() => self.cgroup.freeze(true),
            SignalKind::Resume if self.cgroup.freezes() => self.cgroup.freeze(false),
            SignalKind::Pause => self.pass(-Signal::STOP.as_raw()),
            SignalKind::Resume => self.pass(-Signal::CONT.as_raw()),
        }
    }

    /// Has the first process pass on a signal.
    fn pass(&self, value: i32) {
        let _ = send_signal_with(self.handle.as_fd(), PASS_SIGNAL.as_raw(), value);
    }

    fn measure(&self) -> Option<Stats> {
        let mut stats = self.cgroup.stats().or_else(|| measure::by_processes(self.pid))?;
        stats.processes = stats.processes.saturating_sub(self.own_processes);
        Some(stats)
    }

    fn read_reports(&mut self, id: u64) -> Option<Telling> {
        let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
        let mut started = None;
        while let Some(report) = self.report.as_ref().filter(|report| ready(report)) {
            let mut buffer = vec![0; REPORT_BYTES_MAX];
            let Some(said) = receive(report, &mut buffer).ok().flatten() else {
                self.finished = self.report.take();
                break;
            };
            match Report::decode(&buffer[..said.length]) {
                Ok(Report::Held(layers)) => {
                    let notice = Notice::Held { id, pid, layers };
                    started = Some(Telling { notice, descriptors: said.descriptors });
                }
                Ok(Report::Started(layers)) => {
                    self.started = true;
                    self.cgroup.started();
                    let notice = Notice::Spawned { id, pid, layers };
                    started = Some(Telling { notice, descriptors: said.descriptors });
                }
                Ok(Report::Failed(failure)) => self.failure = Some(failure),
                Ok(Report::Exited(status)) => self.status = Some(status),
                // Only our own code writes here. If it does not, nothing it says counts.
                Err(_) => {
                    self.finished = self.report.take();
                    self.kill();
                }
            }
        }
        started
    }

    fn bury(&mut self) {
        let _ =
            rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED));
    }

    /// Ends and removes what is left when its first process has been buried: where no namespace has ended it, what is below this
    /// process, but for what is known to be something else; without that knowledge what is in its cgroup alone.
    pub(crate) fn clean(&mut self, known: Option<&[Pid]>) {
        if !self.namespaced {
            let left = known.map_or_else(|| self.cgroup.kill(), |known| rest::end(known, &self.cgroup));
            if left > 0 {
                // Standard error is the node's.
                eprintln!(
                    "ringfence spawner: {left} processes of a run that has ended could not be ended, and may still run"
                );
            }
        }
        if let Some(home) = self.home.take() {
            // As a rule the first process has done so. What cannot be removed is left to the next spawner.
            let _ = empty_home(&home, HOME_REMOVAL);
        }
    }

    fn last_notice(&mut self, id: u64) -> Notice {
        if self.started {
            let used = self.cgroup.stats();
            return Notice::Exited { id, status: self.status.unwrap_or(ExitStatus::Killed), used };
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
