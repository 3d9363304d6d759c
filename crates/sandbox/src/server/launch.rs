//! From an order to a process.

mod ready;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::{PidfdFlags, pidfd_open};

use self::ready::Ready;
pub(crate) use self::ready::watch_mounts;
use super::children::{Child, Progress, Telling};
use super::homes::Homes;
use super::plan::Plan;
use crate::cgroup::{Cgroup, Cgroups};
use crate::command::Limits;
use crate::driver::Confinement;
use crate::inside::{self, Descriptors, Etc, Filters, Identity, Setup};
use crate::layer::{Layer, LayerName, LayerState};
use crate::limits::{PROCESSES_DEFAULT, START_TIMEOUT};
use crate::network::Network;
use crate::root::Root;
use crate::system::{Cloned, Namespaces, clone_process, clone_process_into};
use crate::wire::{Failure, Hello, Notice, Order, pair};

/// What all children of a spawner share.
pub(crate) struct Launcher {
    hidden: Vec<PathBuf>,
    homes: Homes,
    servers: Plan,
    boxes: Plan,
    /// Of children without any namespace.
    bare: Plan,
    identity: Identity,
    filters: Filters,
    etc: Etc,
    cgroups: Cgroups,
    open_files: u64,
    /// As found by setting up one sandbox of a tool server with nothing in it.
    layers: Vec<Layer>,
    /// As found by setting up one with a root and a network of its own, or why there can be none.
    boxed: Result<Vec<Layer>, String>,
    /// Whether each child mounts its home on the one folder, or has a folder in it.
    homes_are_mounts: bool,
    /// For the next box.
    ready: RefCell<Option<Ready>>,
    /// Whether a box has been started since one was made ready: then there may be more.
    ready_wanted: Cell<bool>,
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
        let mut launcher = Self {
            hidden,
            homes,
            servers: Plan::for_servers(identity),
            boxes: Plan::for_boxes(identity),
            bare: Plan::bare(),
            identity,
            filters: Filters::compile(),
            etc: Etc::find(),
            cgroups: Cgroups::find(),
            open_files,
            layers: Vec::new(),
            boxed: Err("not tried".to_owned()),
            homes_are_mounts: true,
            ready: RefCell::new(None),
            ready_wanted: Cell::new(false),
        };
        let tried = launcher.try_out(&Order::trial(None, Network::Host, Limits::default()));
        launcher.layers = tried.map_err(|failure| {
            launcher.clean_up();
            failure.text
        })?;
        launcher.homes_are_mounts =
            launcher.layers.iter().any(|layer| layer.name == LayerName::PrivateHome && layer.in_force());
        // As large as any, so that the limits are tried and not in the way.
        let limits = Limits { memory_bytes: Some(1 << 30), cpu_percent: Some(100), ..Limits::default() };
        let order = Order::trial(Some(Root::system()), Network::Gateway, limits);
        launcher.boxed = launcher.try_out(&order).map_err(|failure| failure.text);
        Ok(launcher)
    }

    /// What was found around a tool server.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What was found around a child with a root and a network of its own.
    pub(crate) fn boxed(&self) -> &Result<Vec<Layer>, String> {
        &self.boxed
    }

    /// Starts a child; it reports by itself when its program runs.
    pub(crate) fn launch(&self, id: u64, order: &Order, descriptors: Vec<OwnedFd>) -> Result<Child, Failure> {
        let [input, output, error] = <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| {
            let error = io::Error::from_raw_os_error(libc::EMFILE);
            Failure::setup("taking the pipes, which did not all arrive", &error)
        })?;
        self.start(id, order, false, [input, output, error])
    }

    /// Does what the next child of the kind would have to wait for.
    pub(crate) fn prepare(&self) {
        self.cgroups.prepare();
        self.make_ready();
    }

    pub(crate) fn clean_up(&self) {
        self.forget_ready();
        self.homes.remove();
        self.cgroups.remove();
    }

    /// Sets up one sandbox that runs nothing, and waits for its report.
    fn try_out(&self, order: &Order) -> Result<Vec<Layer>, Failure> {
        let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        let nulls = null().and_then(|input| Ok([input, null()?, null()?]));
        let nulls = nulls.map_err(|error| Failure::setup("opening /dev/null", &error))?;
        let mut child = self.start(0, order, true, nulls)?;
        let deadline = Instant::now() + START_TIMEOUT;
        let mut found = None;
        while Instant::now() < deadline {
            let Progress { started, ended } = child.progress(0);
            if let Some(Telling { notice: Notice::Spawned { layers, .. }, .. }) = started {
                found = Some(layers);
            }
            match (ended, found.take()) {
                (Some(last), found) => {
                    child.leave_cgroup();
                    return match (last, found) {
                        (Notice::Failed { failure, .. }, _) => Err(failure),
                        (_, found) => Ok(found.unwrap_or_default()),
                    };
                }
                (_, still) => found = still,
            }
            child.await_more(deadline);
        }
        child.kill();
        Err(Failure::setup("trying out a sandbox", &io::Error::from(io::ErrorKind::TimedOut)))
    }

    fn start(&self, id: u64, order: &Order, trial: bool, stdio: [OwnedFd; 3]) -> Result<Child, Failure> {
        let failed = |what: &'static str| move |error: io::Error| Failure::setup(what, &error);
        let stdio = match self.use_ready(order, trial, stdio) {
            Ok(child) => return Ok(child),
            Err(stdio) => stdio,
        };
        let boxed = order.root.is_some();
        let hidden = self.hidden_from(order)?;
        let bare = order.confinement == Confinement::Restricted;
        let own =
            if bare || !(boxed || self.homes_are_mounts) { Some(self.own_home(id, bare)) } else { None };
        let own = own.transpose().map_err(failed("making a home"))?;
        let (mine, report) = pair().map_err(failed("making a socket"))?;
        let plan = match (bare, boxed) {
            (true, _) => &self.bare,
            (false, true) => &self.boxes,
            (false, false) => &self.servers,
        };
        let namespaces = self.namespaces(order);
        let (mut cgroup, limits) = self.cgroup(order, namespaces);
        let give_up = |cgroup: &mut Cgroup, what, error| {
            cgroup.remove();
            Failure::setup(what, &error)
        };
        let joinable =
            cgroup.joinable().map_err(|error| give_up(&mut cgroup, "opening the cgroup", error))?;
        let setup = Setup {
            order,
            trial,
            namespaces,
            late: plan.late,
            cgroup: Some(&joinable),
            etc: &self.etc,
            refused: &[&plan.refused[..], &limits].concat(),
            hidden: &hidden,
            homes: self.homes.path(),
            home: own.as_deref().unwrap_or(self.homes.path()),
            identity: self.identity,
            filters: &self.filters,
            open_files: self.open_files,
        };
        let [input, output, error] = stdio;
        let cloned = match joinable.unified() {
            Some(folder) => clone_process_into(namespaces, folder),
            None => clone_process(namespaces),
        };
        match cloned.map_err(|error| give_up(&mut cgroup, "making the namespaces", error))? {
            Cloned::Child => inside::live(&setup, Descriptors { input, output, error, report }),
            Cloned::Parent(pid) => {
                // Nobody but us reaps it, so that the id is still its own.
                let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    Failure::setup("watching the sandbox", &error.into())
                })?;
                let namespaced = namespaces.has(Namespaces::PROCESS);
                let looker = if bare { LOOKERS } else { 0 };
                Ok(Child::new(pid, handle, mine, namespaced, own, cgroup).with_own(looker))
            }
        }
    }

    /// The namespaces of a child. A box whose machine refuses a network namespace is refused by itself, with words; a
    /// tool server that asks for one by the kernel.
    fn namespaces(&self, order: &Order) -> Namespaces {
        if order.confinement == Confinement::Restricted {
            return self.bare.namespaces;
        }
        match (order.root.is_some(), order.network.is_own()) {
            (true, true) => self.boxes.namespaces,
            (true, false) => self.boxes.namespaces.without(Namespaces::NETWORK),
            (false, true) => self.servers.namespaces.with(Namespaces::NETWORK),
            (false, false) => self.servers.namespaces,
        }
    }

    /// A home that is a folder. Where the child is a user of its own, he must pass through the folder above.
    fn own_home(&self, id: u64, bare: bool) -> io::Result<PathBuf> {
        if bare && self.identity.user() == 0 {
            fs::set_permissions(self.homes.path(), fs::Permissions::from_mode(0o711))?;
        }
        self.homes.make_one(id)
    }

    /// The cgroup of a child, and its limits as layers.
    fn cgroup(&self, order: &Order, namespaces: Namespaces) -> (Cgroup, Vec<Layer>) {
        let limits = &order.limits;
        let boxed = order.root.is_some();
        if !boxed
            && limits.memory_bytes.is_none()
            && limits.cpu_percent.is_none()
            && limits.processes.is_none()
        {
            return (Cgroup::default(), Vec::new());
        }
        let ordered = limits.processes.or(boxed.then_some(PROCESSES_DEFAULT));
        // A runtime's own tasks are counted with those of its program, for as long as there are some.
        let (tasks, stay) = match &order.confinement {
            Confinement::Container(runtime) => (runtime.kind.tasks(), runtime.kind.is_kernel()),
            Confinement::Restricted => (LOOKERS, true),
            Confinement::Local => (0, true),
        };
        let processes = ordered.map(|processes| processes.saturating_add(tasks));
        let (mut cgroup, mut layers) = self.cgroups.make(limits, processes);
        if let Some(ordered) = ordered.filter(|_| !stay) {
            cgroup.lowers_processes(ordered);
        }
        let counted = layers.iter_mut().find(|layer| layer.name == LayerName::ProcessLimit);
        if let (Some(Layer { state, .. }), Some(processes)) = (counted, processes) {
            let bare = order.confinement == Confinement::Restricted;
            // Whoever looks is another user's, but in a cgroup.
            let extra = if bare && !matches!(state, LayerState::InForce(_)) { 0 } else { tasks };
            *state = self.counted_by_user(state, processes - tasks + extra, namespaces, bare);
            if let (LayerState::InForce(how), 1..) = (state, extra) {
                let whose = match (bare, stay) {
                    (true, _) => "who looks at its home",
                    (false, true) => "the runtime",
                    (false, false) => "the runtime until the program runs",
                };
                *how = format!("{how}, {extra} of them for {whose}");
            }
        }
        (cgroup, layers)
    }

    /// Where no cgroup counts processes, the resource limit does, but not those of root.
    fn counted_by_user(
        &self,
        state: &LayerState,
        processes: u64,
        namespaces: Namespaces,
        bare: bool,
    ) -> LayerState {
        match state {
            // Started by root, it is a user of its own.
            LayerState::Missing(_) if bare && self.identity.user() == 0 => {
                LayerState::InForce(format!("resource limit, {processes}"))
            }
            LayerState::Missing(why) if self.identity.user() == 0 => {
                LayerState::Missing(format!("{why}; the kernel exempts root from the resource limit"))
            }
            LayerState::Missing(_) if namespaces.has(Namespaces::USER) => {
                LayerState::InForce(format!("resource limit, {processes}"))
            }
            LayerState::Missing(_) => {
                LayerState::InForce(format!("resource limit, {processes} over all of the node's user"))
            }
            LayerState::InForce(_) => state.clone(),
        }
    }

    /// The paths hidden from every child and those of this one.
    fn hidden_from(&self, order: &Order) -> Result<Vec<PathBuf>, Failure> {
        if order.hidden.is_empty() {
            return Ok(self.hidden.clone());
        }
        let hidden = outermost(self.hidden.iter().chain(&order.hidden).cloned().collect())?;
        beside(self.homes.path(), &hidden)?;
        Ok(hidden)
    }
}

/// Processes beside the program where its home is looked at.
const LOOKERS: u64 = 1;

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
