//! One run, from its place in the queue to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringfence_json::Object;
use ringfence_kernel::{EndedBy, Exit, Mooring, Phase, Run, RunSockets, RunStep, Used};
use ringfence_sandbox::{Child, Posture, Sockets, Trust};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::environments::Ready;
use crate::images::Image;
use crate::kept::{Keeper, Volumes};
use crate::limits::{KILL_GRACE, LAST_WORDS, LOOK, STOP_GRACE};
use crate::output::{Line, Output, Stream};
use crate::plan::{Plan, Rootfs};
use crate::process::{Order, end, exit_of, feed, obey, reason_of, used_of};
use crate::queue::{Given, Waiting};
use crate::reader::{Over, Reader, Written};
use crate::runs::Inner;
use crate::state::Turn;

/// Why a run ended that was to begin.
pub(crate) const STOPPED: &str = "the node stopped before it began";

/// Whoever looks after one run.
pub(crate) struct Supervisor {
    inner: Arc<Inner>,
    run: Arc<Run>,
    plan: Plan,
    extra: Vec<String>,
    input: Vec<u8>,
    /// To change what its agent keeps; until its end is on record.
    turn: Option<Turn>,
}

/// A program that runs, and what is kept of it.
struct Begun {
    child: Child,
    output: Arc<Output>,
    volumes: Volumes,
    folder: PathBuf,
    /// What it is shown and must stay for as long as it runs.
    environments: Vec<Ready>,
    image: Option<Image>,
}

/// How it came to an end.
struct End {
    why: EndedBy,
    reason: String,
    exit: Option<Exit>,
    output_bytes: u64,
    used: Option<Used>,
    /// What is kept of it takes so much of the disk.
    kept_bytes: u64,
}

// === impl Supervisor ===

impl Supervisor {
    pub(crate) fn new(
        inner: Arc<Inner>,
        run: Arc<Run>,
        plan: Plan,
        extra: Vec<String>,
        input: Vec<u8>,
    ) -> Self {
        Self { inner, run, plan, extra, input, turn: None }
    }

    pub(crate) async fn live(mut self, waiting: Waiting, mut orders: mpsc::UnboundedReceiver<Order>) {
        let end = self.until_the_end(waiting, &mut orders).await;
        let step = RunStep::Ended {
            why: end.why,
            reason: end.reason,
            exit: end.exit,
            output_bytes: end.output_bytes,
            used: end.used,
        };
        self.inner.step(self.run.id, step).await;
        self.inner.living.lock().remove(&self.run.id);
        self.turn = None;
        self.inner.has_left(end.kept_bytes).await;
    }

    async fn until_the_end(&mut self, waiting: Waiting, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
        if let Some(reason) = self.keeper().never_its_turn() {
            return End::before_it_began(EndedBy::Start, reason);
        }
        let place = tokio::select! {
            biased;
            (why, reason) = self.ended_from_above() => return End::before_it_began(why, reason),
            place = self.place(waiting) => place,
        };
        let Given { place: _place, turn } = match place {
            Ok(given) => given,
            Err((why, reason)) => return End::before_it_began(why, reason),
        };
        self.turn = turn;
        if self
            .inner
            .kernel
            .step_run(self.run.id, RunStep::Starting, &ringfence_kernel::Actor::node())
            .await
            .is_err()
        {
            let (why, reason) = self.ended_from_above().await;
            return End::before_it_began(why, reason);
        }
        let started = tokio::select! {
            biased;
            (why, reason) = self.ended_from_above() => return End::before_it_began(why, reason),
            started = self.start() => started,
        };
        match started {
            Ok(Begun { child, output, volumes, folder, environments, image }) => {
                let mut end = self.supervise(child, output, image.as_ref(), orders).await;
                // Nothing of them is left inside.
                drop((environments, image));
                end.kept_bytes = self.keeper().keep(volumes, &folder, end.why).await;
                end
            }
            Err(reason) => End::before_it_began(EndedBy::Start, reason),
        }
    }

    /// A place to run in, once nothing above it is suspended: what may not begin keeps no place from others, and no turn.
    async fn place(&self, waiting: Waiting) -> Result<Given, (EndedBy, String)> {
        let may_begin = || self.inner.kernel.lease(&self.run, None).is_ok();
        loop {
            if may_begin() {
                self.inner.prepares(self.run.id, None);
                let given = self.keeper().place(&waiting).await?;
                if may_begin() {
                    return Ok(given);
                }
            }
            let suspension = self.inner.kernel.suspension_of(&self.run);
            let told = suspension
                .map(|it| format!("the end of a suspension ({}): `ringfence resume {}`", it.reason, it.id));
            self.inner.prepares(self.run.id, told);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes the sandbox and starts the program in it.
    async fn start(&self) -> Result<Begun, String> {
        let spawner = self.inner.spawner.as_ref().ok_or("this node starts no programs")?;
        let (folder, output) = self
            .inner
            .output(&self.run, self.plan.output_bytes)
            .map_err(|error| format!("what it writes cannot be kept: {error}"))?;
        let environments = self.environments(&output).await?;
        let image = match &self.plan.rootfs {
            Rootfs::Image(name) => {
                self.inner.prepares(self.run.id, Some(format!("its image, {name}")));
                let image = self.inner.images.get(name).await.map_err(|error| error.to_string());
                self.inner.prepares(self.run.id, None);
                Some(image?)
            }
            Rootfs::Machine | Rootfs::Folder(_) => None,
        };
        let driver = spawner.driver(self.plan.driver).await.map_err(|error| error.to_string())?;
        let own = self.inner.harbour.authority(&self.run);
        // Shown inside, they outlive their names in the folder.
        let trust = own.map(|own| Trust::write(&folder, &own)).transpose();
        let trust = trust.map_err(|error| format!("its certificates cannot be written: {error}"))?;
        let order = self.plan.order(&self.run, &self.extra, trust.as_ref(), &environments, image.as_ref());
        let (child, volumes) = self.keeper().start(&*driver, &order).await?;
        Ok(Begun { child, output, volumes, folder, environments, image })
    }

    /// What its recipes say, built if need be. What whoever builds said of a failure is in the run's own output.
    async fn environments(&self, output: &Output) -> Result<Vec<Ready>, String> {
        let mut all = Vec::new();
        for recipe in &self.plan.recipes {
            let ready = self.inner.environment(&self.run, recipe, &self.plan.builds).await;
            all.push(ready.map_err(|failure| {
                let at = self.inner.kernel.now();
                let line = |text| Line { at, stream: Stream::Err, text, goes_on: false };
                // What cannot be kept is told as far as it goes.
                let _ = output.keep(failure.said.into_iter().map(line));
                failure.told
            })?);
        }
        Ok(all)
    }

    fn keeper(&self) -> Keeper<'_> {
        Keeper { inner: &self.inner, run: &self.run, plan: &self.plan }
    }

    /// Looks after the program until nothing of it is left.
    async fn supervise(
        &mut self,
        mut child: Child,
        output: Arc<Output>,
        image: Option<&Image>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> End {
        let sockets = child.take_sockets().map(run_sockets).unwrap_or_default();
        let mooring = self.inner.harbour.attach(Arc::clone(&self.run), sockets);
        let written = Arc::new(Written::default());
        let errors = child.take_errors();
        let Child { mut process, stdin, stdout, .. } = child;
        let readers = self.read(stdout, errors, &output, &written);
        let feeding = feed(stdin, std::mem::take(&mut self.input));
        let layers = described(&process.posture(), image);
        self.inner.step(self.run.id, RunStep::Running { layers }).await;

        let mut grace = STOP_GRACE;
        let stopped = {
            let mut from_above = std::pin::pin!(self.ended_from_above());
            let mut by_itself = std::pin::pin!(self.ended_by_itself(&written, &mooring));
            loop {
                tokio::select! {
                    biased;
                    status = process.exited() => break Err(status),
                    end = &mut from_above => break Ok(end),
                    end = &mut by_itself => break Ok(end),
                    Some(order) = orders.recv() => {
                        if matches!(order, Order::Kill) {
                            grace = KILL_GRACE;
                        }
                        obey(order, &process);
                    }
                }
            }
        };
        feeding.abort();
        let (why, reason, status) = match stopped {
            Err(status) => (EndedBy::Program, "its program ended".to_owned(), status),
            Ok((why, reason)) => {
                let step = RunStep::Stopping { why, reason: reason.clone() };
                // Where a person stopped it, that stands there already.
                self.inner.step(self.run.id, step).await;
                (why, reason, end(&mut process, orders, grace).await)
            }
        };
        // What it wrote before it ended is on its way through the pipes; nobody else can write any more.
        for reader in readers {
            let _ = timeout(LAST_WORDS, reader).await;
        }
        output.end();
        let (why, reason) = match (why, written.over()) {
            // It was faster than whoever would have ended it for that.
            (EndedBy::Program, Some(over)) => (EndedBy::Output, self.not_kept(over)),
            other => (other.0, reason),
        };
        let (exit, stats) = (exit_of(status), process.used());
        let reason = reason_of(why, reason, exit, stats.as_ref(), self.plan.memory_bytes);
        let used = stats.as_ref().map(used_of);
        let output_bytes = written.bytes.load(Ordering::Relaxed);
        End { why, reason, exit: Some(exit), output_bytes, used, kept_bytes: 0 }
    }

    /// Keeps what the program writes.
    fn read(
        &self,
        stdout: Receiver,
        errors: Option<Receiver>,
        output: &Arc<Output>,
        written: &Arc<Written>,
    ) -> Vec<JoinHandle<()>> {
        let read = |stream: Stream, from: Receiver| {
            let kernel = self.inner.kernel.clone();
            let reader = Reader {
                stream,
                output: Arc::clone(output),
                written: Arc::clone(written),
                now: Box::new(move || kernel.now()),
            };
            tokio::spawn(reader.read(from))
        };
        let errors = errors.map(|errors| read(Stream::Err, errors));
        std::iter::once(read(Stream::Out, stdout)).chain(errors).collect()
    }

    /// Returns when a person, the node or the run's own time ends it.
    async fn ended_from_above(&self) -> (EndedBy, String) {
        tokio::select! {
            () = self.inner.shutdown.cancelled() => (EndedBy::Node, "the node stopped".into()),
            end = self.inner.kernel.run_over(&self.run) => end,
        }
    }

    /// Returns when the program writes too much or does nothing for too long.
    async fn ended_by_itself(&self, written: &Written, mooring: &Mooring) -> (EndedBy, String) {
        let Some(idle) = self.plan.idle else {
            written.until_over().await;
            return self.too_much(written);
        };
        let mut look = interval(LOOK.min(idle));
        let (mut last, mut since) = (None, Instant::now());
        loop {
            tokio::select! {
                () = written.until_over() => return self.too_much(written),
                _ = look.tick() => {}
            }
            let view = self.inner.kernel.run(self.run.id);
            let busy = view.as_ref().is_some_and(|view| {
                view.in_flight > 0
                    || view.living_children > 0
                    || view.life.as_ref().is_some_and(|life| life.is_pending || life.phase == Phase::Paused)
            });
            let acted = view.map(|view| view.actions + view.actions_below);
            let now = (written.bytes.load(Ordering::Relaxed), mooring.pulse(), acted);
            if busy || last != Some(now) {
                (last, since) = (Some(now), Instant::now());
            } else if since.elapsed() >= idle {
                let idle = ringfence_types::format_duration(idle);
                return (EndedBy::Idle, format!("it neither wrote nor did anything for {idle}"));
            }
        }
    }

    fn too_much(&self, written: &Written) -> (EndedBy, String) {
        (EndedBy::Output, self.not_kept(written.over().unwrap_or(&Over::TooMuch)))
    }

    fn not_kept(&self, over: &Over) -> String {
        match over {
            Over::TooMuch => {
                let most = ringfence_types::format_size(self.plan.output_bytes);
                format!("it wrote more than {most}; what it wrote beyond that is not kept")
            }
            Over::Lost(why) => format!("not all that it wrote could be kept: {why}"),
        }
    }
}

impl End {
    fn before_it_began(why: EndedBy, reason: String) -> Self {
        Self { why, reason, exit: None, output_bytes: 0, used: None, kept_bytes: 0 }
    }
}

fn run_sockets(sockets: Sockets) -> RunSockets {
    RunSockets { tcp: sockets.tcp, udp: sockets.udp, rest: sockets.rest, unseen: sockets.unseen }
}

/// The driver, the image and the layers as they stand in the log.
fn described(posture: &Posture, image: Option<&Image>) -> Object {
    let all = Object::new().with("driver", posture.driver());
    let all = all.with_some("image", image.map(|image| image.digest.as_str()));
    posture.layers.told().fold(all, |all, (name, state)| all.with(name, state))
}
