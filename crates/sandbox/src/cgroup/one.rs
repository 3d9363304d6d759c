//! The cgroup of one child: a folder in each hierarchy that is needed for it.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

use super::base::Base;
use super::hierarchies::Controller;
use super::{Joinable, Version, named, number, processes, set};
use crate::stats::Stats;

/// Microseconds of one period of the processor's share: the kernel's own choice.
const PERIOD: u64 = 100_000;

/// The folders of one child.
#[derive(Debug, Default)]
pub(crate) struct Cgroup {
    name: String,
    made: Vec<PathBuf>,
    /// Those of v1 that something is wanted of, to be entered.
    used: Vec<PathBuf>,
    unified: Option<PathBuf>,
    memory: Option<(PathBuf, Version)>,
    processes: Option<(PathBuf, Version)>,
    /// The bound on processes once the program runs, where there may be more before.
    processes_then: Option<u64>,
    freezer: Option<(PathBuf, Version)>,
    time: Option<(PathBuf, Version)>,
}

// === impl Cgroup ===

impl Cgroup {
    /// No folder yet; they will have this number, which no other of the spawner has.
    pub(super) fn new(number: u64) -> Self {
        Self { name: number.to_string(), ..Self::default() }
    }

    /// Sets a bound; how it is enforced.
    pub(super) fn limit(
        &mut self,
        base: &Base,
        version: Version,
        controller: Controller,
        value: u64,
    ) -> Result<String, String> {
        let folder = self.folder(base, version)?;
        let how = version.as_str();
        match (controller, version) {
            (Controller::Memory, Version::Old) => {
                set(&folder, "memory.limit_in_bytes", &value.to_string())?;
                // Where swap is counted, it is not a way around.
                let _ = set(&folder, "memory.memsw.limit_in_bytes", &value.to_string());
            }
            (Controller::Memory, Version::Unified) => {
                set(&folder, "memory.max", &value.to_string())?;
                let _ = set(&folder, "memory.swap.max", "0");
            }
            (Controller::Processes, _) => set(&folder, "pids.max", &with_first(value))?,
            (Controller::Cpu, Version::Old) => {
                // A new cgroup has this period already.
                set(&folder, "cpu.cfs_quota_us", &share(value).to_string())?;
            }
            (Controller::Cpu, Version::Unified) => {
                set(&folder, "cpu.max", &format!("{} {PERIOD}", share(value)))?;
            }
            (Controller::CpuTime | Controller::Freezer, _) => {}
        }
        let place = Some((folder, version));
        match controller {
            Controller::Memory => {
                self.memory = place;
                Ok(format!("{how}, {value} bytes"))
            }
            Controller::Processes => {
                self.processes = place;
                Ok(format!("{how}, {value}"))
            }
            _ => Ok(format!("{how}, {value} % of a processor")),
        }
    }

    pub(super) fn freezer(&mut self, base: &Base, version: Version) -> Result<String, String> {
        let folder = self.folder(base, version)?;
        self.freezer = Some((folder, version));
        Ok(version.as_str().to_owned())
    }

    pub(super) fn account(&mut self, base: &Base, version: Version) {
        self.time = self.folder(base, version).ok().map(|folder| (folder, version));
    }

    /// Has fewer processes be allowed once the program runs: what starts it needs some itself, and has gone then.
    pub(crate) const fn lowers_processes(&mut self, then: u64) {
        self.processes_then = Some(then);
    }

    /// The program runs. Processes that are too many by now stay, and there are no more of them.
    pub(crate) fn started(&self) {
        if let (Some((folder, _)), Some(most)) = (&self.processes, self.processes_then) {
            // It could be set before. One that has ended in the meantime has nothing that could be bounded.
            let _ = set(folder, "pids.max", &with_first(most));
        }
    }

    /// What the child's first process enters.
    pub(crate) fn joinable(&self) -> std::io::Result<Joinable> {
        let mut tasks = Vec::new();
        for folder in &self.used {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            tasks.push(rustix::fs::open(folder.join("tasks"), flags, Mode::empty())?);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |folder: &PathBuf| rustix::fs::open(folder, flags, Mode::empty());
        let unified: Option<OwnedFd> = self.unified.as_ref().map(open).transpose()?;
        Ok(Joinable { tasks, unified })
    }

    /// Whether it can be frozen.
    pub(crate) const fn freezes(&self) -> bool {
        self.freezer.is_some()
    }

    /// Stops everything in it, or lets it go on.
    pub(crate) fn freeze(&self, stop: bool) {
        let _ = match &self.freezer {
            Some((folder, Version::Unified)) => set(folder, "cgroup.freeze", if stop { "1" } else { "0" }),
            Some((folder, Version::Old)) => {
                set(folder, "freezer.state", if stop { "FROZEN" } else { "THAWED" })
            }
            None => Ok(()),
        };
    }

    /// Kills what is in it; how many there were.
    pub(crate) fn kill(&self) -> usize {
        // Whoever is frozen starts nobody, and dies in v1 when it is let go on.
        self.freeze(true);
        if let Some(folder) = &self.unified {
            // Linux 5.14.
            let _ = set(folder, "cgroup.kill", "1");
        }
        let found: HashSet<Pid> = self.made.iter().flat_map(|folder| processes(folder)).collect();
        for pid in &found {
            let _ = kill_process(*pid, Signal::KILL);
        }
        self.freeze(false);
        found.len()
    }

    /// What is charged to it; `None` where that is not kept.
    pub(crate) fn stats(&self) -> Option<Stats> {
        let (memory, version) = self.memory.as_ref()?;
        let (current, peak) = match version {
            Version::Old => ("memory.usage_in_bytes", "memory.max_usage_in_bytes"),
            Version::Unified => ("memory.current", "memory.peak"),
        };
        let kills = match version {
            Version::Old => named(memory, "memory.oom_control", "oom_kill"),
            Version::Unified => named(memory, "memory.events", "oom_kill"),
        };
        let (processes, _) = self.processes.as_ref()?;
        Some(Stats {
            memory_bytes: number(memory, current)?,
            memory_bytes_peak: number(memory, peak),
            processes: number(processes, "pids.current")?.saturating_sub(1),
            cpu: self.cpu()?,
            memory_kills: kills,
            by_cgroup: true,
        })
    }

    fn cpu(&self) -> Option<Duration> {
        match self.time.as_ref()? {
            (folder, Version::Unified) => named(folder, "cpu.stat", "usage_usec").map(Duration::from_micros),
            (folder, Version::Old) => number(folder, "cpuacct.usage").map(Duration::from_nanos),
        }
    }

    /// Removes its folders; false if something is still in one, to be tried again.
    pub(crate) fn remove(&mut self) -> bool {
        self.made.retain(|folder| match fs::remove_dir(folder) {
            Ok(()) => false,
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        });
        self.made.is_empty()
    }

    /// Makes its folder in a hierarchy, if it is not there.
    pub(super) fn make(&mut self, base: &Base, version: Version) -> Result<PathBuf, String> {
        let folder = base.path.join(&self.name);
        if !self.made.contains(&folder) {
            fs::create_dir(&folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
            self.made.push(folder.clone());
            if version == Version::Unified {
                self.unified = Some(folder.clone());
            }
        }
        Ok(folder)
    }

    /// Its folder in a hierarchy, which it is to be in.
    fn folder(&mut self, base: &Base, version: Version) -> Result<PathBuf, String> {
        let folder = self.make(base, version)?;
        if version == Version::Old && !self.used.contains(&folder) {
            self.used.push(folder.clone());
        }
        Ok(folder)
    }
}

/// The sandbox's first process counts as well.
fn with_first(processes: u64) -> String {
    processes.saturating_add(1).to_string()
}

fn share(percent: u64) -> u64 {
    // The kernel gives no less than a millisecond a period.
    (percent * PERIOD / 100).max(1_000)
}
