//! All runs of a node.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use ringfence_kernel::{Actor, Begin, EndedBy, Harbour, Kernel, MintError, Run, RunError, RunStep};
use ringfence_sandbox::{Spawner, Trust};
use ringfence_types::{RunId, WorkspaceName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environments::Environments;
use crate::images::{ImageName, Images};
use crate::limits::QUEUE_MAX;
use crate::output::{Follower, Output, OutputError};
use crate::plan::Plan;
use crate::plans::Plans;
use crate::process::Order;
use crate::queue::{Queue, Waiting};
use crate::signal::Signal;
use crate::state::{Store, Turns};
use crate::supervise::Supervisor;

/// The name of the file with what a run wrote, in the run's folder.
pub(crate) const OUTPUT: &str = "output.jsonl";

/// All runs of a node. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Runs(pub(crate) Arc<Inner>);

/// How runs are kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where what they write is kept: in `WORKSPACE/RUN/output.jsonl`.
    pub directory: PathBuf,
    /// Where what agents keep between runs is, in `WORKSPACE/AGENT`, sealed.
    pub states: PathBuf,
    /// Where the keys are that it is sealed with, by workspace.
    pub keys: PathBuf,
    /// Where environments of packages are kept.
    pub environments: PathBuf,
    /// Where images of containers are kept.
    pub images: PathBuf,
    /// So many at once; the others wait.
    pub at_once: usize,
}

/// Why a run was not begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing can be started on this machine.
    #[error("this node starts no programs: {0}")]
    NoSpawner(&'static str),
    /// Too many wait.
    #[error("{QUEUE_MAX} runs of this workspace wait for a place already; try again later, or stop some")]
    QueueFull,
    /// No such agent, too many runs, or the log cannot take it.
    #[error(transparent)]
    Refused(#[from] MintError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// What all clones share.
pub(crate) struct Inner {
    pub kernel: Kernel,
    pub spawner: Option<Spawner>,
    pub harbour: Arc<dyn Harbour>,
    pub directory: PathBuf,
    pub states: Store,
    pub environments: Environments,
    pub images: Images,
    /// Who may change what an agent keeps.
    pub turns: Turns,
    /// Bytes of what runs wrote and left, as far as it was counted.
    pub kept_bytes: AtomicU64,
    pub making_room: tokio::sync::Mutex<()>,
    pub queue: Queue,
    pub plans: Plans,
    pub living: Mutex<HashMap<RunId, Living>>,
    pub tasks: TaskTracker,
    pub shutdown: CancellationToken,
}

/// A run that is not over.
pub(crate) struct Living {
    pub orders: mpsc::UnboundedSender<Order>,
    /// Once its program runs.
    pub output: Option<Arc<Output>>,
    /// It waits until another run of its agent gives up what the agent keeps.
    pub awaits_state: bool,
    /// What is made for it before it can start, as people read it.
    pub prepares: Option<String>,
}

// === impl Runs ===

impl Runs {
    /// All runs of a node. What an earlier node left unfinished is ended in the log: its processes ended with it.
    ///
    /// # Errors
    /// When the log cannot take that.
    pub async fn open(
        kernel: Kernel,
        spawner: Option<Spawner>,
        harbour: Arc<dyn Harbour>,
        options: Options,
    ) -> Result<Self, RunError> {
        // Before the end of those runs is on record: what comes after may be the end of this node as well.
        for (_, workspace) in folders(&options.directory) {
            for (_, run) in folders(&workspace) {
                Trust::forget(&run);
            }
        }
        for lost in kernel.living_runs() {
            let step = RunStep::Ended {
                why: EndedBy::Crash,
                reason: "the node went down while it ran".into(),
                exit: None,
                output_bytes: 0,
                used: None,
            };
            kernel.step_run(lost.id, step, &Actor::node()).await?;
        }
        let queue = Queue::new(options.at_once, QUEUE_MAX);
        Ok(Self(Arc::new(Inner {
            kernel,
            spawner,
            harbour,
            directory: options.directory,
            states: Store::new(options.states, options.keys),
            environments: Environments::open(options.environments),
            images: Images::in_folder(options.images),
            turns: Turns::telling(queue.look_again()),
            kept_bytes: AtomicU64::new(0),
            making_room: tokio::sync::Mutex::new(()),
            queue,
            plans: Plans::default(),
            living: Mutex::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        })))
    }

    /// Begins a run: it is on record and waits for a place when this returns. `extra` are more arguments; `input` is what
    /// its program reads on standard input.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        &self,
        begin: Begin,
        plan: Plan,
        extra: Vec<String>,
        input: Vec<u8>,
        by: &Actor,
    ) -> Result<Arc<Run>, StartError> {
        if self.0.shutdown.is_cancelled() {
            return Err(StartError::Stopping);
        }
        if self.0.spawner.is_none() {
            return Err(StartError::NoSpawner("it has no spawner"));
        }
        let waiting = self.0.queue.join(&begin.workspace, 0).ok_or(StartError::QueueFull)?;
        let (inner, by) = (Arc::clone(&self.0), by.clone());
        // A task of its own: a run that stands in the log has somebody to look after it, whoever goes away.
        let begun = self.0.tasks.spawn(async move {
            let run = inner.kernel.queue_run(begin, &by).await?;
            inner.supervise(&run, plan, extra, input, waiting);
            Ok(run)
        });
        begun.await.unwrap_or(Err(StartError::Stopping))
    }

    /// Asks a run to end: SIGTERM, and after a grace the end of everything in its sandbox. Returns when that is on record.
    ///
    /// # Errors
    /// When there is no such run here, or the log cannot take it.
    pub async fn stop(&self, run: RunId, reason: &str, by: &Actor) -> Result<(), RunError> {
        let step = RunStep::Stopping { why: EndedBy::Person, reason: reason.to_owned() };
        self.0.kernel.step_run(run, step, by).await
    }

    /// As [`Runs::stop`], with hardly any grace.
    ///
    /// # Errors
    /// As there. One that is being stopped is killed.
    pub async fn kill(&self, run: RunId, reason: &str, by: &Actor) -> Result<(), RunError> {
        self.0.kernel.kill(run, reason, by).await?;
        self.order_kill(run);
        Ok(())
    }

    /// As [`Runs::kill`], many at once. Gives those that were not over.
    ///
    /// # Errors
    /// When the log cannot take it; some may be ended then.
    pub async fn kill_all(&self, runs: &[RunId], reason: &str, by: &Actor) -> Result<Vec<RunId>, RunError> {
        let killed = self.0.kernel.kill_all(runs, reason, by).await?;
        for run in &killed {
            self.order_kill(*run);
        }
        Ok(killed)
    }

    fn order_kill(&self, run: RunId) {
        // What stands under it is being stopped with it, and has no more time either.
        let below = self.0.kernel.living_below(run);
        [run].into_iter().chain(below).for_each(|run| self.order(run, Order::Kill));
    }

    /// Holds every process of a run.
    ///
    /// # Errors
    /// As [`Runs::stop`], and when it does not run.
    pub async fn pause(&self, run: RunId, reason: &str, by: &Actor) -> Result<(), RunError> {
        self.0.kernel.step_run(run, RunStep::Paused { reason: reason.to_owned() }, by).await?;
        self.order(run, Order::Pause);
        Ok(())
    }

    /// Lets a run go on that was paused.
    ///
    /// # Errors
    /// As [`Runs::stop`], and when it is not paused.
    pub async fn resume(&self, run: RunId, by: &Actor) -> Result<(), RunError> {
        self.0.kernel.step_run(run, RunStep::Resumed, by).await?;
        self.order(run, Order::Resume);
        Ok(())
    }

    /// Sends a signal to a run's program, as it is. Returns when it is on record who did.
    ///
    /// # Errors
    /// As [`Runs::stop`], and when its program does not run.
    pub async fn signal(&self, run: RunId, signal: Signal, by: &Actor) -> Result<(), RunError> {
        let step = RunStep::Signalled { signal: signal.as_str().to_owned() };
        self.0.kernel.step_run(run, step, by).await?;
        self.order(run, Order::Signal(signal));
        Ok(())
    }

    /// How many runs of each workspace may run at once; of one that is not named, as many as the node runs. What runs already goes on.
    pub fn bound(&self, at_once: HashMap<WorkspaceName, usize>) {
        self.0.queue.bound(at_once);
    }

    /// Reads what a run has written, and what it writes.
    ///
    /// # Errors
    /// When nothing is kept of it.
    pub fn follow(&self, run: RunId) -> Result<Follower, OutputError> {
        if let Some(living) = self.0.living.lock().get(&run) {
            // Its file may be there already, and nobody has written yet.
            return living.output.as_ref().map(|output| output.follow()).ok_or(OutputError::Nothing);
        }
        Follower::of_file(&self.0.output_of(run).ok_or(OutputError::Nothing)?)
    }

    /// Whether this node supervises a run.
    pub fn is_living(&self, run: RunId) -> bool {
        self.0.living.lock().contains_key(&run)
    }

    /// Removes images that no configuration names and no run uses.
    pub async fn prune_images(&self, named: &[ImageName]) {
        self.0.images.prune(named).await;
    }

    /// Removes environments of packages that nobody has used for so long. Blocks.
    pub fn prune_environments(&self, kept: Duration) {
        self.0.environments.prune(kept);
    }

    /// Ends every run and waits until nothing of them is left.
    pub async fn shut_down(&self) {
        self.0.shutdown.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn order(&self, run: RunId, order: Order) {
        if let Some(living) = self.0.living.lock().get(&run) {
            // A supervisor that has gone has ended the run.
            let _ = living.orders.send(order);
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Looks after a run that waits for its place, until its end.
    pub(crate) fn supervise(
        self: &Arc<Self>,
        run: &Arc<Run>,
        plan: Plan,
        extra: Vec<String>,
        input: Vec<u8>,
        waiting: Waiting,
    ) {
        let (orders, inbox) = mpsc::unbounded_channel();
        self.living
            .lock()
            .insert(run.id, Living { orders, output: None, awaits_state: false, prepares: None });
        let supervisor = Supervisor::new(Arc::clone(self), Arc::clone(run), plan, extra, input);
        self.tasks.spawn(supervisor.live(waiting, inbox));
    }

    /// Makes the folder of a run, and in it the file for what it writes.
    pub(crate) fn output(&self, run: &Run, most: u64) -> io::Result<(PathBuf, Arc<Output>)> {
        let folder = self.directory.join(run.workspace.as_str()).join(run.id.to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let output = Output::create(folder.join(OUTPUT), most)?;
        if let Some(living) = self.living.lock().get_mut(&run.id) {
            living.output = Some(Arc::clone(&output));
        }
        Ok((folder, output))
    }

    pub(crate) fn awaits_state(&self, run: RunId, awaits: bool) {
        if let Some(living) = self.living.lock().get_mut(&run) {
            living.awaits_state = awaits;
        }
    }

    pub(crate) fn prepares(&self, run: RunId, what: Option<String>) {
        if let Some(living) = self.living.lock().get_mut(&run) {
            living.prepares = what;
        }
    }

    pub(crate) fn folder_of(&self, run: RunId) -> Option<PathBuf> {
        let mut paths = folders(&self.directory).into_iter().map(|(_, folder)| folder.join(run.to_string()));
        paths.find(|path| path.is_dir())
    }

    pub(crate) fn output_of(&self, run: RunId) -> Option<PathBuf> {
        let of = |folder: &Path| folder.join(run.to_string()).join(OUTPUT);
        let mut paths = folders(&self.directory).into_iter().map(|(_, folder)| of(&folder));
        paths.find(|path| path.exists())
    }

    /// Takes a step, again and again while the log is away: what has happened must not go missing.
    pub(crate) async fn step(&self, run: RunId, step: RunStep) {
        self.kernel.step_run_surely(run, step).await;
    }
}

/// The folders in a folder, by name; none where it cannot be read.
pub(crate) fn folders(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runs(…)")
    }
}
