//! Limits, freezing and accounts by cgroups: v2 where it has the controller, v1 where that has it.
//!
//! A spawner makes one folder in each hierarchy and in it one for each child that needs it, removed with the child.
//! The lock on a spawner's folder says that it lives; without one it is left over, and removed by the next spawner.

mod base;
mod handing;
mod hierarchies;
mod one;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use self::base::Base;
use self::hierarchies::{Controller, Hierarchies};
pub(crate) use self::one::Cgroup;
use crate::command::Limits;
use crate::layer::{Layer, LayerName, LayerState};

/// What the children of a spawner get.
#[derive(Debug)]
pub(crate) struct Cgroups {
    unified: Result<Base, String>,
    old: Vec<(Result<Base, String>, Vec<Controller>)>,
    /// Made while there was nothing else to do, for the next child.
    spare: RefCell<Option<Cgroup>>,
    next: Cell<u64>,
}

/// What a child's first process enters by itself, or is made in.
#[derive(Debug)]
pub(crate) struct Joinable {
    /// v1: `tasks` of each folder. A process of one thread that moves itself by it takes no lock of the machine.
    tasks: Vec<OwnedFd>,
    /// v2: the folder to be made in.
    unified: Option<OwnedFd>,
}

/// The version of cgroups that something is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Old,
    Unified,
}

// === impl Cgroups ===

impl Cgroups {
    /// Finds and makes what this process may, and removes what dead spawners left.
    pub(crate) fn find() -> Self {
        match Hierarchies::find() {
            Err(error) => Self::on(Hierarchies::default()).without(&format!("reading the cgroups: {error}")),
            Ok(found) => Self::on(found),
        }
    }

    fn on(found: Hierarchies) -> Self {
        let unified = found.unified.ok_or_else(|| "no cgroup v2 here".to_owned());
        let unified = unified.and_then(|folder| Base::make(handing::roomy(&folder), Version::Unified));
        // What v2 gives is not needed twice.
        let given = [Controller::Freezer, Controller::CpuTime];
        let mut old = Vec::new();
        for (folder, controls) in found.old {
            let needed = controls.iter().any(|one| !(unified.is_ok() && given.contains(one)));
            if needed {
                old.push((Base::make(&folder, Version::Old), controls));
            }
        }
        Self { unified, old, spare: RefCell::new(None), next: Cell::new(0) }
    }

    fn without(self, why: &str) -> Self {
        Self { unified: Err(why.to_owned()), ..self }
    }

    /// Takes the folders that were made for the next child, made now if they were not.
    pub(crate) fn take_spare(&self) -> Cgroup {
        self.prepare();
        self.spare.take().unwrap_or_else(|| self.fresh())
    }

    /// Gives folders for the next child, instead of any that were made for it.
    pub(crate) fn give_spare(&self, cgroup: Cgroup) {
        if let Some(mut unused) = self.spare.replace(Some(cgroup)) {
            unused.remove();
        }
    }

    /// Makes the folders of the next child.
    pub(crate) fn prepare(&self) {
        if self.spare.borrow().is_none() {
            let mut cgroup = self.fresh();
            let wanted = [
                Controller::Memory,
                Controller::Processes,
                Controller::Cpu,
                Controller::Freezer,
                Controller::CpuTime,
            ];
            for (base, version) in wanted.into_iter().filter_map(|wanted| self.place(wanted).ok()) {
                // What cannot be made now is said when it is needed.
                let _ = cgroup.make(base, version);
            }
            self.spare.replace(Some(cgroup));
        }
    }

    fn fresh(&self) -> Cgroup {
        self.next.set(self.next.get() + 1);
        Cgroup::new(self.next.get())
    }

    /// Where a controller is to be had.
    fn place(&self, wanted: Controller) -> Result<(&Base, Version), String> {
        if let Ok(base) = &self.unified {
            // Freezing and accounts of time come with every cgroup v2.
            let given = matches!(wanted, Controller::Freezer | Controller::CpuTime);
            if given || base.handed.controllers.contains(&wanted) {
                return Ok((base, Version::Unified));
            }
        }
        let old = self.old.iter().find(|(_, controls)| controls.contains(&wanted));
        match old {
            Some((Ok(base), _)) => Ok((base, Version::Old)),
            Some((Err(why), _)) => Err(why.clone()),
            None => Err(match &self.unified {
                Ok(base) => base.handed.without.clone().unwrap_or_else(|| "no such cgroup here".to_owned()),
                Err(why) => why.clone(),
            }),
        }
    }

    /// Makes the cgroup of a child, as far as one can be made; what came of it, as layers.
    pub(crate) fn make(&self, limits: &Limits, processes: Option<u64>) -> (Cgroup, Vec<Layer>) {
        let mut cgroup = self.spare.take().unwrap_or_else(|| self.fresh());
        let mut layers = Vec::new();
        let mut limit = |layer, controller, value: Option<u64>| {
            let outcome = match value {
                None => Err("not ordered".to_owned()),
                Some(value) => self
                    .place(controller)
                    .and_then(|(base, version)| cgroup.limit(base, version, controller, value)),
            };
            let state = outcome.map_or_else(LayerState::Missing, LayerState::InForce);
            layers.push(Layer { name: layer, state });
        };
        limit(LayerName::MemoryLimit, Controller::Memory, limits.memory_bytes);
        limit(LayerName::ProcessLimit, Controller::Processes, processes);
        limit(LayerName::CpuLimit, Controller::Cpu, limits.cpu_percent.map(u64::from));
        let freezer = self
            .place(Controller::Freezer)
            .and_then(|(base, version)| cgroup.freezer(base, version))
            .map_err(|why| format!("by stop signals instead: {why}"));
        let state = freezer.map_or_else(LayerState::Missing, LayerState::InForce);
        layers.push(Layer { name: LayerName::Freezer, state });
        if let Ok((base, version)) = self.place(Controller::CpuTime) {
            cgroup.account(base, version);
        }
        (cgroup, layers)
    }

    /// Removes the spawner's folders, when every child has gone.
    pub(crate) fn remove(&self) {
        drop(self.spare.take());
        for base in self.unified.iter().chain(self.old.iter().filter_map(|(base, _)| base.as_ref().ok())) {
            base.remove();
        }
    }
}

// === impl Joinable ===

impl Joinable {
    /// Moves this process, which must have one thread, into the folders of v1.
    pub(crate) fn join(&self) -> io::Result<()> {
        join(&self.tasks)
    }

    /// What [`join`] takes.
    pub(crate) fn old(&self) -> &[OwnedFd] {
        &self.tasks
    }

    /// The folder of v2 that the process is to be made in.
    pub(crate) fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }
}

// === impl Version ===

impl Version {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Old => "cgroup v1",
            Self::Unified => "cgroup v2",
        }
    }
}

/// Moves this process, which must have one thread, into folders of v1, given by their `tasks`.
pub(crate) fn join(tasks: &[OwnedFd]) -> io::Result<()> {
    for tasks in tasks {
        rustix::io::write(tasks, b"0")?;
    }
    Ok(())
}

/// Writes a file of a cgroup; the error names it.
fn set(folder: &Path, file: &str, value: &str) -> Result<(), String> {
    let write = || fs::File::options().write(true).open(folder.join(file))?.write_all(value.as_bytes());
    write().map_err(|error: io::Error| format!("{file} in {}: {error}", folder.display()))
}

/// Who is in a cgroup.
fn processes(folder: &Path) -> Vec<Pid> {
    let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

/// A number in a file of a cgroup.
fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// A number by its name in a file of names and numbers.
fn named(folder: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Folders below a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
