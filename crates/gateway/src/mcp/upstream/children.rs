//! All tool servers that are children of the node: one for each run and server, or one for a workspace.
//!
//! They are started when they are first needed. One that ended is started again, after a wait that doubles with
//! every failure in a row. One that nobody uses, or whose run has ended, is ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringfence_json::Object;
use ringfence_sandbox::{Command, Spawner};
use ringfence_types::{RunId, ServerName, WorkspaceName};
use tokio::sync::Mutex as AsyncMutex;

use super::UpstreamError;
use super::child::{Child, Started};
use super::residence::Quarters;
use crate::Limits;
use crate::mcp::era::{self, Era};
use crate::mcp::message::{Id, Message, Notification, Request};
use crate::mcp::passage::Passage;
use crate::targets::{Share, StdioTarget};

/// All children.
#[derive(Debug)]
pub(crate) struct Children {
    spawner: Option<Spawner>,
    quarters: Quarters,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    limits: Limits,
}

/// Whose child it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) workspace: WorkspaceName,
    pub(crate) server: ServerName,
    /// The run; `None` for all of the workspace.
    pub(crate) run: Option<RunId>,
    /// A process speaks one era (MCP 2026-07-28, "Backward Compatibility").
    pub(crate) era: Era,
}

/// Where one child is, was, or will be.
#[derive(Debug, Default)]
struct Slot(AsyncMutex<State>);

#[derive(Debug, Default)]
struct State {
    child: Option<Arc<Child>>,
    /// What it was started from.
    target: Option<Arc<StdioTarget>>,
    failures: u32,
    not_before: Option<Instant>,
}

/// A child, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildView {
    /// Where the server belongs.
    pub workspace: WorkspaceName,
    /// Which server.
    pub server: ServerName,
    /// Whose child it is; `None` when the workspace shares it.
    pub run: Option<RunId>,
    /// The process id, on the machine, of the first process of its sandbox.
    pub pid: u32,
    /// The layers of the sandbox that are not in force, each with the reason.
    pub missing_layers: Vec<String>,
    /// The last of what it wrote to its standard error: a stranger's text, to be escaped before it is shown.
    pub stderr: String,
}

/// After a life of this length a child's failures are forgotten.
const STABLE: Duration = Duration::from_mins(1);

/// A wait for a restart that a call sits out instead of failing.
const SHORT_WAIT: Duration = Duration::from_secs(1);

// === impl Key ===

impl Key {
    /// The child that a run uses.
    pub(crate) fn new(
        workspace: &WorkspaceName,
        server: &ServerName,
        run: RunId,
        share: Share,
        era: Era,
    ) -> Self {
        let run = match share {
            Share::Run => Some(run),
            Share::Workspace => None,
        };
        Self { workspace: workspace.clone(), server: server.clone(), run, era }
    }
}

// === impl Children ===

impl Children {
    /// No children yet. Without a spawner there never are any.
    pub(crate) fn new(spawner: Option<Spawner>, quarters: Quarters, limits: &Limits) -> Self {
        Self { spawner, quarters, slots: Mutex::default(), limits: limits.clone() }
    }

    /// What those in a sandbox of their own need of the node.
    pub(crate) fn quarters(&self) -> &Quarters {
        &self.quarters
    }

    /// The child of that key, started if it is not running. A legacy one has gone through its handshake with
    /// `handshake`, the parameters of the client's `initialize`.
    pub(crate) async fn get(
        &self,
        key: &Key,
        passage: Passage<'_>,
        target: &Arc<StdioTarget>,
        handshake: &Object,
    ) -> Result<Arc<Child>, UpstreamError> {
        let slot = Arc::clone(self.slots.lock().entry(key.clone()).or_default());
        // Whoever else wants the same child waits here until it runs.
        let mut state = slot.0.lock().await;
        if let Some(child) = state.usable(target) {
            return Ok(child);
        }
        state.bury(&self.limits);
        state.wait().await?;
        let started = self.start(key, passage, target, handshake).await;
        match started {
            Ok(child) => {
                state.child = Some(Arc::clone(&child));
                state.target = Some(Arc::clone(target));
                Ok(child)
            }
            Err(error) => {
                state.fail(&self.limits);
                Err(error)
            }
        }
    }

    /// A child that nobody else uses, for the node's own questions; it ends when it is dropped. It has not gone
    /// through any handshake.
    pub(crate) async fn start_own(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        target: &StdioTarget,
    ) -> Result<Arc<Child>, UpstreamError> {
        let started = self.spawn((workspace, server), target).await?;
        Ok(Child::new(started, false, &self.limits))
    }

    async fn spawn(
        &self,
        whose: (&WorkspaceName, &ServerName),
        target: &StdioTarget,
    ) -> Result<Started, UpstreamError> {
        let spawner = self.spawner.as_ref().ok_or(ringfence_sandbox::SpawnError::SpawnerGone)?;
        let command = command(target)?;
        let Some(sandboxed) = &target.sandbox else {
            return Ok(Started { child: spawner.spawn(&command).await?, residence: None });
        };
        let (child, residence) = self.quarters.start(spawner, whose, command, sandboxed).await?;
        Ok(Started { child, residence: Some(residence) })
    }

    async fn start(
        &self,
        key: &Key,
        passage: Passage<'_>,
        target: &StdioTarget,
        handshake: &Object,
    ) -> Result<Arc<Child>, UpstreamError> {
        let started = self.spawn((&key.workspace, &key.server), target).await?;
        let shared = key.run.is_none();
        let child = Child::new(started, !shared, &self.limits);
        if key.era == Era::Legacy {
            // Nobody could say which of several clients a question is for, so none are invited.
            let params = if shared {
                handshake.clone().with("capabilities", Object::new())
            } else {
                handshake.clone()
            };
            greet(&child, passage, params, &self.limits).await?;
        }
        Ok(child)
    }

    /// Ends all of them, and waits until nothing of them is left, for a bounded time.
    pub(crate) async fn end_all(&self) {
        let slots: Vec<Arc<Slot>> = self.slots.lock().drain().map(|(_, slot)| slot).collect();
        let mut ending = tokio::task::JoinSet::new();
        for slot in slots {
            ending.spawn(async move {
                let child = slot.0.lock().await.child.take();
                if let Some(child) = child {
                    child.stop().await;
                }
            });
        }
        ending.join_all().await;
    }

    /// Ends what nobody uses: children idle for too long, and those of runs that `lives` says no of.
    pub(crate) fn sweep(&self, lives: impl Fn(RunId) -> bool) {
        let idle_max = self.limits.child_idle;
        self.slots.lock().retain(|key, slot| {
            // A slot that is locked is in use.
            let Ok(mut state) = slot.0.try_lock() else { return true };
            let wanted = key.run.is_none_or(&lives);
            if let Some(child) = &state.child
                && (!wanted || !child.is_usable() || child.idle() > idle_max)
            {
                state.bury(&self.limits);
            }
            let resting = state.not_before.is_some_and(|time| time > Instant::now());
            state.child.is_some() || (wanted && resting)
        });
    }

    /// The children that run, for operators.
    pub(crate) fn views(&self) -> Vec<ChildView> {
        let slots = self.slots.lock();
        let view = |(key, slot): (&Key, &Arc<Slot>)| {
            let state = slot.0.try_lock().ok()?;
            let child = state.child.as_ref().filter(|child| child.is_usable())?;
            Some(ChildView {
                workspace: key.workspace.clone(),
                server: key.server.clone(),
                run: key.run,
                pid: child.pid(),
                missing_layers: child.missing_layers().to_vec(),
                stderr: child.stderr().tail(),
            })
        };
        slots.iter().filter_map(view).collect()
    }
}

// === impl State ===

impl State {
    /// The child, if it runs and was started from what is configured now.
    fn usable(&self, target: &Arc<StdioTarget>) -> Option<Arc<Child>> {
        let same = self.target.as_ref().is_some_and(|started| started == target);
        self.child.as_ref().filter(|child| same && child.is_usable()).cloned()
    }

    /// Lets go of a child; one that ended by itself too soon counts as a failure.
    fn bury(&mut self, limits: &Limits) {
        let Some(child) = self.child.take() else { return };
        child.retire();
        if child.lifetime() > STABLE {
            self.failures = 0;
        }
        if child.end().is_some() {
            self.fail(limits);
        }
    }

    fn fail(&mut self, limits: &Limits) {
        let wait =
            limits.restart_wait.saturating_mul(1 << self.failures.min(16)).min(limits.restart_wait_max);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + wait);
    }

    /// Sits out what is left of a short wait.
    async fn wait(&self) -> Result<(), UpstreamError> {
        let left =
            self.not_before.map(|time| time.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left > SHORT_WAIT {
            return Err(UpstreamError::Resting { wait_ms: left.as_millis() });
        }
        tokio::time::sleep(left).await;
        Ok(())
    }
}

/// The command of a target, with its secrets as they are now.
fn command(target: &StdioTarget) -> Result<Command, UpstreamError> {
    let mut command = Command::new(&target.program).arguments(&target.arguments);
    for (name, source) in &target.environment {
        command = command.variable(name, source.read()?.as_str());
    }
    if let Some(directory) = &target.directory {
        command = command.directory(directory);
    }
    Ok(target.require.iter().fold(command, |command, layer| command.require(*layer)))
}

/// Goes through the legacy handshake.
pub(crate) async fn greet(
    child: &Arc<Child>,
    passage: Passage<'_>,
    params: Object,
    limits: &Limits,
) -> Result<(), UpstreamError> {
    let request = Request::new(Id::from(0), "initialize", params);
    let greeting = async {
        let mut exchange = child.request(passage, request, None, false).await?;
        while let Some(message) = exchange.next().await? {
            if let Message::Response(response) = message {
                return response.outcome.map_err(|_| UpstreamError::Handshake);
            }
        }
        Err(UpstreamError::Handshake)
    };
    let result = tokio::time::timeout(limits.errand_time, passage.hold(limits, greeting)).await;
    let result = result.unwrap_or(Err(UpstreamError::Timeout))?;
    let known = result.text("protocolVersion").is_some_and(era::is_legacy);
    if !known {
        return Err(UpstreamError::Handshake);
    }
    child.set_handshake(result);
    let ready = Notification { method: "notifications/initialized".into(), params: None };
    child.send(passage, &Message::Notification(ready)).await
}
