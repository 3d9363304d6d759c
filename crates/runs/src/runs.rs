//! All runs of a node.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use ringfence_kernel::{
    Actor, Begin, EndedBy, Harbour, Kernel, LedgerUnavailable, MintError, Run, RunError, RunStep,
};
use ringfence_sandbox::Spawner;
use ringfence_types::{RunId, WorkspaceName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::QUEUE_MAX;
use crate::output::{Follower, Output, OutputError};
use crate::plan::Plan;
use crate::queue::Queue;
use crate::supervise::{Order, Supervisor};

/// The name of the file with what a run wrote, in the run's folder.
const OUTPUT: &str = "output.jsonl";

/// All runs of a node. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Runs(pub(crate) Arc<Inner>);

/// How runs are kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where what they write is kept: in `WORKSPACE/RUN/output.jsonl`.
    pub directory: PathBuf,
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
    pub queue: Queue,
    pub living: Mutex<HashMap<RunId, Living>>,
    pub tasks: TaskTracker,
    pub shutdown: CancellationToken,
}

/// A run that is not over.
pub(crate) struct Living {
    pub orders: mpsc::UnboundedSender<Order>,
    /// Once its program runs.
    pub output: Option<Arc<Output>>,
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
        for lost in kernel.living_runs() {
            let step = RunStep::Ended {
                why: EndedBy::Crash,
                reason: "the node went down while it ran".into(),
                exit: None,
                output_bytes: 0,
            };
            kernel.step_run(lost.id, step, &Actor::node()).await?;
        }
        Ok(Self(Arc::new(Inner {
            kernel,
            spawner,
            harbour,
            directory: options.directory,
            queue: Queue::new(options.at_once, QUEUE_MAX),
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
        let waiting = self.0.queue.join(&begin.workspace).ok_or(StartError::QueueFull)?;
        let run = self.0.kernel.queue_run(begin, by).await?;
        let (orders, inbox) = mpsc::unbounded_channel();
        self.0.living.lock().insert(run.id, Living { orders, output: None });
        let supervisor = Supervisor::new(Arc::clone(&self.0), Arc::clone(&run), plan, extra, input);
        self.0.tasks.spawn(supervisor.live(waiting, inbox));
        Ok(run)
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
        self.order(run, Order::Kill);
        Ok(())
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

    /// Sends a signal to a run's program.
    pub fn signal(&self, run: RunId, signal: i32) {
        self.order(run, Order::Signal(signal));
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

    /// Removes what was written by runs that are over for longer than `kept` says for their workspace.
    pub fn prune(&self, kept: impl Fn(&WorkspaceName) -> Duration) {
        let now = SystemTime::now();
        for (workspace, folder) in folders(&self.0.directory) {
            let Ok(workspace) = WorkspaceName::new(&workspace) else { continue };
            for (run, folder) in folders(&folder) {
                let lives = run.parse().is_ok_and(|run| self.is_living(run));
                let written = std::fs::metadata(folder.join(OUTPUT)).and_then(|metadata| metadata.modified());
                let age = written.ok().and_then(|written| now.duration_since(written).ok());
                if !lives && age.is_some_and(|age| age > kept(&workspace)) {
                    // What cannot be removed now is tried again.
                    let _ = std::fs::remove_dir_all(folder);
                }
            }
        }
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

    fn output_of(&self, run: RunId) -> Option<PathBuf> {
        let of = |folder: &Path| folder.join(run.to_string()).join(OUTPUT);
        let mut paths = folders(&self.directory).into_iter().map(|(_, folder)| of(&folder));
        paths.find(|path| path.exists())
    }

    /// Takes a step, again and again while the log is away: what has happened must not go missing.
    pub(crate) async fn step(&self, run: RunId, step: RunStep) {
        for pause in [1, 10, 100, 1_000, 5_000, 10_000, 30_000] {
            match self.kernel.step_run(run, step.clone(), &Actor::node()).await {
                Err(RunError::LedgerUnavailable(LedgerUnavailable)) => {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                // It stands where it stands: somebody else was faster.
                _ => return,
            }
        }
        tracing::error!(%run, step = step.event(), "the log cannot take a step of a run; the next start of the node ends it there");
    }
}

/// The folders in a folder, by name; none where it cannot be read.
fn folders(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runs(…)")
    }
}
