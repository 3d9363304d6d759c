//! Building one environment: in a sandbox that reaches the index alone, and in which nothing of a package is run but of those
//! that the configuration names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringfence_json::Object;
use ringfence_kernel::{Actor, EndedBy, Exit, Kernel, Run, RunSockets, RunStep};
use ringfence_sandbox::{BoundedStderr, Child, ExitStatus, LayerName, Process, Spawner};
use ringfence_types::{Digest, WorkspaceName, format_duration, format_size};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::recipe::{Ingredients, Kind, Recipe};
use super::room::{free_bytes, holds_at_most};
use super::store::{Draft, InUse, Store};
use super::tools::Tools;
use super::words::{self, Failure};
use crate::limits::{BUILD_GONE, DISK_LEFT_BYTES, GLANCE_AT_BUILD, LAST_WORDS, LOOK_AT_BUILD};
use crate::runs::Inner;

/// How environments are built, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSettings {
    /// Where Python packages come from (PEP 503).
    pub python_index: String,
    /// Where packages for Node come from.
    pub node_index: String,
    /// Bytes of the disk that building one may take.
    pub bytes_max: u64,
    /// How long it may take.
    pub time_max: Duration,
    /// Layers of the sandbox without which nothing is built.
    pub require: Vec<LayerName>,
}

/// One environment to build.
pub(super) struct Order {
    pub workspace: WorkspaceName,
    pub recipe: Recipe,
    pub ingredients: Ingredients,
    pub tools: Tools,
    pub settings: BuildSettings,
    pub key: Digest,
}

/// Where one is built.
struct Site<'a> {
    inner: &'a Arc<Inner>,
    spawner: &'a Spawner,
    store: &'a Arc<Store>,
    /// Nobody waits for it any more.
    stop: &'a CancellationToken,
    run: &'a Arc<Run>,
}

/// How the program that builds came to its end.
struct End {
    why: EndedBy,
    reason: String,
    exit: Option<Exit>,
    said: Vec<String>,
}

// === impl Order ===

impl Order {
    /// Builds it; what went wrong is told with the way out. Nothing of a build that did not succeed is kept.
    pub(super) async fn build(
        &self,
        inner: &Arc<Inner>,
        store: &Arc<Store>,
        stop: &CancellationToken,
    ) -> Result<InUse, Failure> {
        let spawner = inner.spawner.as_ref();
        let spawner = spawner.ok_or_else(|| Failure::new("this node starts no programs"))?;
        let run = inner.kernel.queue_build(&self.workspace, self.recipe.builder()).await;
        let run = run.map_err(|error| Failure::new(error.to_string()))?;
        let built = self.in_a_run(&Site { inner, spawner, store, stop, run: &run }).await;
        let (end, built) = match built {
            Ok((end, in_use)) => (end, Ok(in_use)),
            Err(mut end) => {
                let said = std::mem::take(&mut end.said);
                let told = format!(
                    "its environment cannot be built from {} (run {}): {}",
                    self.recipe.name(),
                    run.id,
                    end.reason
                );
                (end, Err(Failure { told, said }))
            }
        };
        let step =
            RunStep::Ended { why: end.why, reason: end.reason, exit: end.exit, output_bytes: 0, used: None };
        inner.kernel.step_run_surely(run.id, step).await;
        built
    }

    async fn in_a_run(&self, site: &Site<'_>) -> Result<(End, InUse), End> {
        step(&site.inner.kernel, site.run, RunStep::Starting).await?;
        let draft = self.draft(site.store).map(Arc::new);
        let draft = draft.map_err(|error| End::start(format!("there is no room for it: {error}")))?;
        let built = self.in_draft(site, &draft).await;
        // Code of packages may have left more than is removed in a moment.
        let _ = tokio::task::spawn_blocking(move || drop(draft)).await;
        built
    }

    async fn in_draft(&self, site: &Site<'_>, draft: &Arc<Draft>) -> Result<(End, InUse), End> {
        let created = site.spawner.create(&self.command(draft)).await;
        let mut created = created.map_err(|error| End::start(error.to_string()))?;
        let sockets = created.take_sockets().map(|sockets| RunSockets {
            tcp: sockets.tcp,
            udp: sockets.udp,
            rest: sockets.rest,
            unseen: sockets.unseen,
        });
        let _mooring = site.inner.harbour.attach(Arc::clone(site.run), sockets.unwrap_or_default());
        let child = created.exec().await.map_err(|error| End::start(error.to_string()))?;
        let layers =
            child.process.layers().told().fold(Object::new(), |all, (name, how)| all.with(name, how));
        step(&site.inner.kernel, site.run, RunStep::Running { layers }).await?;
        let end = self.watch(site, child, draft).await?;
        let kept = tokio::select! {
            biased;
            kept = self.keep(site.store, draft) => kept,
            cut_off = self.cut_off(site) => Err(cut_off),
        };
        match kept {
            Ok(in_use) => Ok((end, in_use)),
            Err(failed) => Err(End { exit: end.exit, ..failed }),
        }
    }

    /// Takes in what was built, if it is not too much.
    async fn keep(&self, store: &Arc<Store>, draft: &Arc<Draft>) -> Result<InUse, End> {
        // It may have been faster than anybody looked.
        if let Some(reason) = self.takes_too_much(draft.path().to_owned()).await {
            return Err(End::new(EndedBy::Output, &reason));
        }
        let taken = self.take_in(store, Arc::clone(draft)).await;
        taken.map_err(|error| End::start(format!("what was built cannot be kept: {error}")))
    }

    /// Waits until it has succeeded and nothing in its sandbox lives. Whatever else happens, everything in there is killed.
    async fn watch(&self, site: &Site<'_>, child: Child, draft: &Draft) -> Result<End, End> {
        let Child { mut process, stderr, stdin, stdout: _stdout, .. } = child;
        drop(stdin);
        let end = self.until_it_ends(site, &mut process, &stderr, draft).await;
        if end.is_err() {
            process.kill();
            // What still runs would go on writing where it is removed.
            let _ = timeout(BUILD_GONE, process.exited()).await;
        }
        end
    }

    async fn until_it_ends(
        &self,
        site: &Site<'_>,
        process: &mut Process,
        stderr: &BoundedStderr,
        draft: &Draft,
    ) -> Result<End, End> {
        tokio::select! {
            biased;
            status = process.exited() => {
                self.judge(status, &stderr.last_words(LAST_WORDS).await)
            }
            cut_off = self.cut_off(site) => Err(cut_off),
            reason = self.leaves_too_little(draft.path()) => Err(End::new(EndedBy::Output, &reason)),
            reason = self.comes_to_take_too_much(draft.path()) => Err(End::new(EndedBy::Output, &reason)),
        }
    }

    /// Comes back with the reason when it is called off, or takes too long.
    async fn cut_off(&self, site: &Site<'_>) -> End {
        tokio::select! {
            biased;
            (why, reason) = site.inner.kernel.run_over(site.run) => End::new(why, &reason),
            () = site.inner.shutdown.cancelled() => End::new(EndedBy::Node, "the node stopped"),
            () = site.stop.cancelled() => End::new(EndedBy::Idle, "nobody waited for it any more"),
            () = sleep(self.settings.time_max) => {
                let most = format_duration(self.settings.time_max);
                let reason = format!("it took more than {most}; write a larger `environments: {{ timeout: … }}`");
                End::new(EndedBy::Deadline, &reason)
            }
        }
    }

    /// Comes back with the reason when the disk is nearly full, whoever filled it: with what nobody counts, too.
    async fn leaves_too_little(&self, folder: &Path) -> String {
        let mut glance = every(GLANCE_AT_BUILD);
        loop {
            glance.tick().await;
            let folder = folder.to_owned();
            let free = tokio::task::spawn_blocking(move || free_bytes(&folder)).await;
            if free.is_ok_and(|free| free < DISK_LEFT_BYTES) {
                return "the disk is nearly full; make room in the data folder".to_owned();
            }
        }
    }

    /// Comes back with the reason when it takes too much. However long a look takes, nobody waits for it.
    async fn comes_to_take_too_much(&self, folder: &Path) -> String {
        let mut look = every(LOOK_AT_BUILD);
        loop {
            look.tick().await;
            if let Some(reason) = self.takes_too_much(folder.to_owned()).await {
                return reason;
            }
        }
    }

    fn judge(&self, status: ExitStatus, said: &str) -> Result<End, End> {
        let exit = match status {
            ExitStatus::Exited(code) => Exit::Code(u8::try_from(code).unwrap_or(u8::MAX)),
            ExitStatus::Signaled(signal) => Exit::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
            ExitStatus::Killed => Exit::Signal(9),
        };
        if status.success() {
            let reason =
                format!("it was built from {}{}", self.recipe.name(), words::ran(self.recipe.named()));
            return Ok(End { exit: Some(exit), ..End::new(EndedBy::Program, &reason) });
        }
        let Failure { told, said } = words::failed(&self.recipe, &status.to_string(), said);
        Err(End { why: EndedBy::Program, reason: told, exit: Some(exit), said })
    }

    /// Why it may not go on, if it takes too much of the disk.
    async fn takes_too_much(&self, folder: PathBuf) -> Option<String> {
        let most = self.settings.bytes_max;
        let fits = tokio::task::spawn_blocking(move || holds_at_most(&folder, most)).await.ok()?;
        let most = format_size(most);
        (!fits).then(|| {
            format!(
                "it takes more than {most} of the disk, or too many files; write a larger `environments: {{ size: … }}`"
            )
        })
    }

    fn draft(&self, store: &Store) -> io::Result<Draft> {
        let draft = store.draft(self.key)?;
        for name in ["input", "cache", "tmp"] {
            fs::create_dir(draft.path().join(name))?;
        }
        for (name, content) in &self.ingredients.files {
            fs::write(draft.path().join("input").join(name), content)?;
        }
        Ok(draft)
    }

    /// Moves it where environments are kept. Who gives up waiting for that ends it; what was built goes with it then.
    async fn take_in(&self, store: &Arc<Store>, draft: Arc<Draft>) -> io::Result<InUse> {
        let about = Object::new()
            .with("format", 2_u64)
            .with("made_of", self.recipe.word())
            .with("files_of", self.ingredients.digest().to_string())
            .with("with", self.tools.identity.as_str());
        let about = match self.recipe.named() {
            [] => about,
            named => about.with("running", named.to_vec()),
        };
        let built = match self.recipe.kind() {
            Kind::Requirements | Kind::UvLock => "python",
            Kind::PackageLock => "input/node_modules",
        };
        let (store, key, halt) = (Arc::clone(store), self.key, CancellationToken::new());
        let _halt = halt.clone().drop_guard();
        let put = tokio::task::spawn_blocking(move || store.put(key, &draft, Path::new(built), about, &halt));
        put.await.map_err(io::Error::other)?
    }
}

// === impl End ===

impl End {
    fn new(why: EndedBy, reason: &str) -> Self {
        Self { why, reason: reason.to_owned(), exit: None, said: Vec::new() }
    }

    fn start(reason: String) -> Self {
        Self { why: EndedBy::Start, reason, exit: None, said: Vec::new() }
    }
}

async fn step(kernel: &Kernel, run: &Run, step: RunStep) -> Result<(), End> {
    let taken = kernel.step_run(run.id, step, &Actor::node()).await;
    taken.map_err(|error| End::start(error.to_string()))
}

/// Ticks, of which none is made up for.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
