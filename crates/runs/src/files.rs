//! What people ask of the files of runs and agents.

use std::fs::File;
use std::io::{self, Write};

use ringfence_kernel::{Actor, FilesEvent, FilesOf, LedgerUnavailable};
use ringfence_types::{AgentName, Digest, RunId, WorkspaceName};

use crate::Runs;
use crate::artifacts::open_kept;
use crate::output::OutputError;
use crate::state::{Snapshot, StateError, StateVersion, to_tar};

/// What an agent keeps between runs.
#[derive(Debug)]
pub struct AgentState {
    /// In which workspace.
    pub workspace: WorkspaceName,
    /// Whose.
    pub agent: AgentName,
    /// Its versions, oldest first, or why they cannot be told.
    pub versions: Result<Vec<StateVersion>, StateError>,
    /// The run that has it.
    pub held_by: Option<RunId>,
}

/// A version of what an agent keeps that was found whole, to be written out.
pub struct StateExport(Snapshot);

// === impl Runs ===

impl Runs {
    /// A file that a run left, by its digest; it is what it was, or an error.
    ///
    /// # Errors
    /// When it is not kept any more, was changed, or cannot be read.
    pub async fn artifact(&self, run: RunId, digest: Digest) -> Result<File, OutputError> {
        let folder = self.0.folder_of(run).ok_or(OutputError::Nothing)?;
        let opened = blocking(move || open_kept(&folder, &digest)).await?;
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OutputError::Nothing,
            _ => OutputError::Read(error),
        })
    }

    /// What a run waits for before it begins, beside a place, as people read it.
    pub fn waits_for(&self, run: RunId) -> Option<String> {
        {
            let living = self.0.living.lock();
            let living = living.get(&run)?;
            if !living.awaits_state {
                return living.prepares.clone();
            }
        }
        let run = self.0.kernel.run(run)?.run;
        // Where no run has it, this one waits for a place.
        let holder = self.0.turns.holder(&run.workspace, &run.agent)?;
        Some(format!("the state of {}/{}, which {holder} has", run.workspace, run.agent))
    }

    /// What agents keep between runs.
    ///
    /// # Errors
    /// When the node is ending.
    pub async fn states(&self) -> Result<Vec<AgentState>, StateError> {
        let runs = self.clone();
        let states = blocking(move || {
            let all = runs.0.states.all().into_iter().map(|(workspace, agent)| {
                let versions = runs.0.states.versions((&workspace, &agent));
                let held_by = runs.0.turns.holder(&workspace, &agent);
                AgentState { workspace, agent, versions, held_by }
            });
            all.collect()
        });
        Ok(states.await?)
    }

    /// Makes an earlier version of what an agent keeps the newest, under a number of its own.
    ///
    /// # Errors
    /// When a run has it, there is no such version, it does not verify, or the disk or the log cannot take it.
    pub async fn restore_state(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
        version: u64,
        by: &Actor,
    ) -> Result<StateVersion, StateError> {
        let turn = self.0.turns.take(workspace, agent)?;
        let (store, whose) = (self.0.states.clone(), (workspace.clone(), agent.clone()));
        let at = self.0.kernel.now();
        let restored = blocking(move || store.restore((&whose.0, &whose.1), version, at)).await??;
        let event =
            FilesEvent::StateRestored { version: restored.number, from: version, digest: restored.digest };
        self.0.kernel.record_files(of(workspace, agent), event, by).await?;
        drop(turn);
        Ok(restored)
    }

    /// Removes what an agent keeps: how many versions there were. On record before it is done.
    ///
    /// # Errors
    /// When a run has it, there is nothing, or the disk or the log cannot take it.
    pub async fn clear_state(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
        by: &Actor,
    ) -> Result<u64, StateError> {
        let turn = self.0.turns.take(workspace, agent)?;
        let (store, whose) = (self.0.states.clone(), (workspace.clone(), agent.clone()));
        let counting = store.clone();
        let versions = blocking(move || counting.count((&whose.0, &whose.1))).await??;
        self.0.kernel.record_files(of(workspace, agent), FilesEvent::StateCleared { versions }, by).await?;
        let whose = (workspace.clone(), agent.clone());
        let cleared = blocking(move || store.clear((&whose.0, &whose.1))).await??;
        drop(turn);
        Ok(cleared)
    }

    /// A version of what an agent keeps, or the newest, to be written out. It was read to its end and found whole.
    ///
    /// # Errors
    /// When there is no such version, or it does not verify.
    pub async fn export_state(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
        version: Option<u64>,
    ) -> Result<StateExport, StateError> {
        let (store, whose) = (self.0.states.clone(), (workspace.clone(), agent.clone()));
        let opened = blocking(move || {
            let whose = (&whose.0, &whose.1);
            let looked = store.version(whose, version)?;
            let number = looked.number();
            looked.verify().map_err(|cause| StateError::Damaged { version: number, cause })?;
            store.version(whose, Some(number)).map(StateExport)
        });
        opened.await?
    }
}

// === impl StateExport ===

impl StateExport {
    /// Writes it as a tar. Blocks.
    ///
    /// # Errors
    /// When it cannot be read any more, or written.
    pub fn write_tar(mut self, out: &mut impl Write) -> io::Result<()> {
        to_tar(&mut self.0, out)?;
        self.0.verify()
    }
}

impl std::fmt::Debug for StateExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateExport(…)")
    }
}

impl From<LedgerUnavailable> for StateError {
    fn from(error: LedgerUnavailable) -> Self {
        Self::Unrecorded(error)
    }
}

fn of(workspace: &WorkspaceName, agent: &AgentName) -> FilesOf {
    FilesOf { workspace: Some(workspace.clone()), agent: Some(agent.clone()), run: None }
}

/// Away from the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
