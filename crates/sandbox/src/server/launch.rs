//! From an order to a process.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, pidfd_open};

use super::children::Child;
use super::homes::Homes;
use super::plan::Plan;
use crate::inside::{self, Descriptors, Filters, Identity, Setup};
use crate::layer::{Layer, LayerName};
use crate::limits::START_TIMEOUT;
use crate::system::{Cloned, Namespaces, clone_process};
use crate::wire::{Failure, Hello, Notice, Order, pair};

/// What all children of a spawner share.
pub(crate) struct Launcher {
    hidden: Vec<PathBuf>,
    homes: Homes,
    plan: Plan,
    identity: Identity,
    filters: Filters,
    open_files: u64,
    /// As found by setting up one sandbox with nothing in it.
    layers: Vec<Layer>,
    /// Whether each child mounts its home on the one folder, or has a folder in it.
    homes_are_mounts: bool,
}

// === impl Launcher ===

impl Launcher {
    /// Finds out what the machine gives.
    pub(crate) fn new(hello: Hello, open_files: u64) -> Result<Self, String> {
        let identity = Identity::current();
        let hidden = outermost(hello.hidden).map_err(|failure| failure.text)?;
        let homes = Homes::make(&hello.temporary, identity.user())
            .map_err(|error| format!("making a folder in {}: {error}", hello.temporary.display()))?;
        if let Err(failure) = beside(homes.path(), &hidden) {
            homes.remove();
            return Err(failure.text);
        }
        let plan = Plan::find(identity);
        let filters = Filters::compile();
        let layers = Vec::new();
        let mut launcher =
            Self { hidden, homes, plan, identity, filters, open_files, layers, homes_are_mounts: true };
        launcher.layers = launcher.try_out().map_err(|failure| failure.text)?;
        launcher.homes_are_mounts =
            launcher.layers.iter().any(|layer| layer.name == LayerName::PrivateHome && layer.in_force());
        Ok(launcher)
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Starts a child; it reports by itself when its program runs.
    pub(crate) fn launch(&self, id: u64, order: &Order, descriptors: Vec<OwnedFd>) -> Result<Child, Failure> {
        let [input, output, error] = <[OwnedFd; 3]>::try_from(descriptors)
            .map_err(|_| Failure::setup("taking the pipes", &io::Error::from(io::ErrorKind::InvalidInput)))?;
        self.start(id, Some(order), [input, output, error])
    }

    pub(crate) fn clean_up(&self) {
        self.homes.remove();
    }

    /// Sets up one sandbox that runs nothing, and waits for its report.
    fn try_out(&self) -> Result<Vec<Layer>, Failure> {
        let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        let nulls = null().and_then(|input| Ok([input, null()?, null()?]));
        let mut child =
            self.start(0, None, nulls.map_err(|error| Failure::setup("opening /dev/null", &error))?)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            match child.progress(0) {
                (Some(Notice::Spawned { layers, .. }), ended) => {
                    if ended.is_none() {
                        child.bury_blocking();
                    }
                    return Ok(layers);
                }
                (_, Some(Notice::Failed { failure, .. })) => return Err(failure),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        child.kill();
        Err(Failure::setup("trying out a sandbox", &io::Error::from(io::ErrorKind::TimedOut)))
    }

    fn start(&self, id: u64, order: Option<&Order>, stdio: [OwnedFd; 3]) -> Result<Child, Failure> {
        let failed = |what: &'static str| move |error: io::Error| Failure::setup(what, &error);
        let hidden = self.hidden_from(order)?;
        let own = if self.homes_are_mounts { None } else { Some(self.homes.make_one(id)) };
        let own = own.transpose().map_err(failed("making a home"))?;
        let (mine, report) = pair().map_err(failed("making a socket"))?;
        let setup = Setup {
            order,
            namespaces: self.plan.namespaces,
            refused: &self.plan.refused,
            hidden: &hidden,
            homes: self.homes.path(),
            home: own.as_deref().unwrap_or(self.homes.path()),
            identity: self.identity,
            filters: &self.filters,
            open_files: self.open_files,
        };
        let [input, output, error] = stdio;
        match clone_process(self.plan.namespaces).map_err(failed("making the namespaces"))? {
            Cloned::Child => inside::live(&setup, Descriptors { input, output, error, report }),
            Cloned::Parent(pid) => {
                // Nobody but us reaps it, so that the id is still its own.
                let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    Failure::setup("watching the sandbox", &error.into())
                })?;
                let namespaced = self.plan.namespaces.has(Namespaces::PROCESS);
                Ok(Child::new(pid, handle, mine, namespaced, own))
            }
        }
    }

    /// The paths hidden from every child and those of this one.
    fn hidden_from(&self, order: Option<&Order>) -> Result<Vec<PathBuf>, Failure> {
        let own = order.map(|order| order.hidden.clone()).unwrap_or_default();
        let hidden = outermost(self.hidden.iter().cloned().chain(own).collect())?;
        beside(self.homes.path(), &hidden)?;
        Ok(hidden)
    }
}

/// Homes must not lie where nobody can see them.
fn beside(homes: &Path, hidden: &[PathBuf]) -> Result<(), Failure> {
    let Some(path) = hidden.iter().find(|path| homes.starts_with(path)) else { return Ok(()) };
    let what = format!(
        "homes are made in {}, which lies in the hidden {}; set TMPDIR",
        homes.display(),
        path.display()
    );
    Err(Failure::setup(what, &io::Error::from(io::ErrorKind::InvalidInput)))
}

/// Canonical paths, without those that lie in another. A path that does not exist is an error: it could not be
/// hidden, and would be in plain sight as soon as somebody makes it.
fn outermost(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let mut canonical = Vec::new();
    for path in paths {
        let found = fs::canonicalize(&path)
            .map_err(|error| Failure::setup(format!("the path to hide, {}", path.display()), &error))?;
        if found == Path::new("/") {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(Failure::setup("hiding / leaves nothing to run", &error));
        }
        canonical.push(found);
    }
    canonical.sort();
    canonical.dedup_by(|inner, outer| inner.starts_with(outer));
    Ok(canonical)
}
