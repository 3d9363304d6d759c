//! What the node keeps of a run's folders: what it left in `/agent/out`, and what its agent keeps in `/agent/state`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfence_kernel::{Actor, EndedBy, FilesEvent, FilesOf, LedgerUnavailable, Run};
use ringfence_sandbox::{Child, Command, Driver};
use ringfence_types::{AgentName, RunId, Scope, WorkspaceName};

use crate::artifacts::{Collected, Shelf, collect, on_disk};
use crate::plan::{OUT, Plan, STATE};
use crate::queue::{Given, Waiting};
use crate::runs::{Inner, OUTPUT};
use crate::state::{Circle, Claim, Left, StateError};
use crate::supervise::STOPPED;

/// One run, as far as its folders go.
pub(crate) struct Keeper<'a> {
    pub inner: &'a Inner,
    pub run: &'a Run,
    pub plan: &'a Plan,
}

/// The folders of a run that outlive it.
pub(crate) struct Volumes {
    out: Option<OwnedFd>,
    state: Option<OwnedFd>,
}

// === impl Volumes ===

impl Volumes {
    fn of(taken: Vec<(PathBuf, OwnedFd)>) -> Self {
        let mut volumes = Self { out: None, state: None };
        for (target, folder) in taken {
            if target == Path::new(OUT) {
                volumes.out = Some(folder);
            } else if target == Path::new(STATE) {
                volumes.state = Some(folder);
            }
        }
        volumes
    }
}

// === impl Keeper ===

impl Keeper<'_> {
    /// Starts the program, once its agent has what it keeps.
    pub(crate) async fn start(
        &self,
        driver: &dyn Driver,
        order: &Command,
    ) -> Result<(Child, Volumes), String> {
        if self.plan.state_bytes.is_none() {
            let mut child = driver.spawn(order).await.map_err(|error| error.to_string())?;
            let volumes = Volumes::of(child.take_volumes());
            return Ok((child, volumes));
        }
        let mut created = driver.create(order).await.map_err(|error| error.to_string())?;
        let volumes = Volumes::of(created.take_volumes());
        self.give(&volumes).await?;
        let child = created.exec().await.map_err(|error| error.to_string())?;
        Ok((child, volumes))
    }

    /// Gives the run the newest version of what its agent keeps, and says which in the log.
    async fn give(&self, volumes: &Volumes) -> Result<(), String> {
        let folder = volumes.state.as_ref().ok_or("its sandbox has no folder for its state")?;
        let folder = folder.try_clone().map_err(|error| error.to_string())?;
        let (store, workspace, agent) =
            (self.inner.states.clone(), self.run.workspace.clone(), self.run.agent.clone());
        let filled = tokio::task::spawn_blocking(move || store.fill((&workspace, &agent), &folder)).await;
        let given = filled
            .map_err(|error| error.to_string())?
            .map_err(|error| not_given(&error, &self.run.workspace, &self.run.agent))?;
        let Some(version) = given else { return Ok(()) };
        let event = FilesEvent::StateGiven { version: version.number, digest: version.digest };
        self.inner
            .kernel
            .record_files(self.of(), event, &Actor::node())
            .await
            .map_err(|error| error.to_string())
    }

    /// Why its turn can never come: it ends before who has it does.
    pub(crate) fn never_its_turn(&self) -> Option<String> {
        self.plan.state_bytes?;
        let holder = self.inner.turns.holder(&self.run.workspace, &self.run.agent)?;
        let is_above = self.run.above.iter().any(|ancestor| ancestor.run == holder);
        is_above.then(|| {
            let (workspace, agent) = (&self.run.workspace, &self.run.agent);
            format!("the state of {workspace}/{agent} is {holder}'s, which is above this run and has it until it ends; start an agent without that state")
        })
    }

    /// Waits for a place to run in, and until no other run has what its agent keeps.
    ///
    /// # Errors
    /// When there will be none, with how the run ends then.
    pub(crate) async fn place(&self, waiting: &Waiting) -> Result<Given, (EndedBy, String)> {
        let claim = self.claim()?;
        self.inner.awaits_state(self.run.id, claim.is_some());
        let given = waiting.place(claim).await;
        self.inner.awaits_state(self.run.id, false);
        given.ok_or_else(|| (EndedBy::Node, STOPPED.to_owned()))
    }

    /// Its turn to change what its agent keeps, if that keeps anything.
    fn claim(&self) -> Result<Option<Claim>, (EndedBy, String)> {
        if self.plan.state_bytes.is_none() {
            return Ok(None);
        }
        let (workspace, agent) = (&self.run.workspace, &self.run.agent);
        let above: Vec<RunId> = self.run.above.iter().map(|ancestor| ancestor.run).collect();
        let claim = self.inner.turns.claim(workspace, agent, self.run.id, above);
        claim.map(Some).map_err(|Circle(holder)| (EndedBy::Start, in_a_circle(holder, workspace, agent)))
    }

    /// Keeps what the run left, when nobody writes any more: how many bytes are on the disk of it, state aside.
    pub(crate) async fn keep(&self, volumes: Volumes, folder: &Path, why: EndedBy) -> u64 {
        let mut bytes = std::fs::metadata(folder.join(OUTPUT)).map_or(0, |written| on_disk(&written));
        if let (Some(out), Some(most)) = (volumes.out, self.plan.out_bytes) {
            bytes += self.keep_artifacts(out, folder, most).await;
        }
        if let (Some(state), Some(most)) = (volumes.state, self.plan.state_bytes) {
            self.keep_state(state, most, why).await;
        }
        bytes
    }

    async fn keep_artifacts(&self, out: OwnedFd, folder: &Path, most: u64) -> u64 {
        let mut shelf = Shelf::of(folder);
        let collecting = tokio::task::spawn_blocking(move || collect(out, &mut shelf, most));
        let lost = match collecting.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Collected { files, left_out_count: 0, .. }) if files.is_empty() => return 0,
            Ok(Collected { files, bytes, disk_bytes, left_out, left_out_count }) => {
                let count = files.len() as u64;
                let event = FilesEvent::Artifacts { count, bytes, files, left_out, left_out_count };
                match self.record(event).await {
                    Ok(()) => return disk_bytes,
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        // What no entry names nobody can tell from what was put there.
        Shelf::of(folder).clear();
        let reason = format!("what {} left in {OUT} is not kept: {lost}", self.run.id);
        self.inner.kernel.incident(self.scope(), "artifacts_not_kept", &reason);
        0
    }

    async fn keep_state(&self, state: OwnedFd, most: u64, why: EndedBy) {
        let left = Left {
            at: self.inner.kernel.now(),
            run: Some(self.run.id),
            why: why.as_str().to_owned(),
            from: None,
        };
        let (store, workspace, agent) =
            (self.inner.states.clone(), self.run.workspace.clone(), self.run.agent.clone());
        let keeping =
            tokio::task::spawn_blocking(move || store.keep((&workspace, &agent), state, most, left));
        let event = match keeping.await.unwrap_or_else(|error| Err(io::Error::other(error).into())) {
            Ok((version, packed)) => FilesEvent::StateKept {
                version: version.number,
                bytes: version.bytes,
                digest: version.digest,
                left_out: packed.left_out,
            },
            Err(error) => {
                let (workspace, agent) = (&self.run.workspace, &self.run.agent);
                let reason = format!(
                    "what {} left in {STATE} is not kept, {workspace}/{agent} has what it had before: {error}",
                    self.run.id
                );
                self.inner.kernel.incident(self.scope(), "state_not_kept", &reason);
                FilesEvent::StateNotKept { reason }
            }
        };
        if self.record(event).await.is_err() {
            tracing::error!(run = %self.run.id, "the log cannot take what became of a run's state; the next run that is given it says so");
        }
    }

    /// Puts it on record, again and again while the log is away.
    async fn record(&self, event: FilesEvent) -> Result<(), LedgerUnavailable> {
        for pause in [1, 10, 100, 1_000, 5_000] {
            let recorded = self.inner.kernel.record_files(self.of(), event.clone(), &Actor::node()).await;
            if recorded.is_ok() {
                return recorded;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self.inner.kernel.record_files(self.of(), event, &Actor::node()).await
    }

    fn of(&self) -> FilesOf {
        FilesOf {
            workspace: Some(self.run.workspace.clone()),
            agent: Some(self.run.agent.clone()),
            run: Some(self.run.id),
        }
    }

    fn scope(&self) -> Scope {
        self.run.scope()
    }
}

fn in_a_circle(holder: RunId, workspace: &WorkspaceName, agent: &AgentName) -> String {
    format!(
        "the state of {workspace}/{agent} is {holder}'s, and what that one started waits, itself or by others, for the state that a run above this one has: they would wait for one another; start an agent without that state"
    )
}

/// Why a run is not given what its agent keeps, and what to do.
fn not_given(error: &StateError, workspace: &WorkspaceName, agent: &AgentName) -> String {
    let command = |word: &str| format!("`ringfence runs state {word} -w {workspace} --agent {agent}");
    let way_out = match error {
        StateError::NoRoom { .. } => "give it a larger `state: { size: … }`".to_owned(),
        // A version that cannot be taken out is worth as little as one that is damaged.
        StateError::Damaged { .. } | StateError::System(_) => format!(
            "{} --version N` makes an earlier one the newest, {}` removes all",
            command("restore"),
            command("clear")
        ),
        _ => format!("{}` shows what there is", command("list")),
    };
    format!("what it keeps between runs cannot be given to it: {error}; {way_out}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_given_what_its_agent_keeps_is_told_the_way_out() {
        let (workspace, agent) = (WorkspaceName::new("lab").unwrap(), AgentName::new("assistant").unwrap());
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        for error in [StateError::System(denied()), StateError::Damaged { version: 2, cause: denied() }] {
            let told = not_given(&error, &workspace, &agent);
            for way in ["runs state restore -w lab --agent assistant --version", "runs state clear -w lab"] {
                assert!(told.contains(way), "{told}");
            }
        }
        let told = not_given(&StateError::NoRoom { version: 1, cause: denied() }, &workspace, &agent);
        assert!(told.contains("a larger"), "{told}");
    }
}
