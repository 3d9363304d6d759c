//! Tool servers in a sandbox of their own: each process is a run, and the gateway answers its sockets as those of agents.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use ringfence_json::Object;
use ringfence_kernel::{Actor, EndedBy, Exit, Harbour as _, Kernel, Mooring, Run, RunSockets, RunStep, Used};
use ringfence_sandbox::{Child, Command, ExitStatus, Network, Spawner, Stats, Trust};
use ringfence_types::{ServerName, WorkspaceName};

use super::UpstreamError;
use crate::gate::Gate;
use crate::serve::Gateway;
use crate::targets::Sandboxed;

/// What sandboxes of tool servers need of the node.
#[derive(Debug, Default)]
pub(crate) struct Quarters {
    gate: Weak<Gate>,
    /// Where certificates stand while a sandbox is made.
    folder: OnceLock<PathBuf>,
}

/// The run of one process, from before it starts to after its end.
#[derive(Debug)]
pub(crate) struct Residence {
    kernel: Kernel,
    run: Arc<Run>,
    /// Its sockets are answered until this is dropped.
    mooring: Option<Mooring>,
    has_ended: bool,
}

/// What a server is to trust, in a folder of its own while its sandbox is made.
#[derive(Debug)]
struct Certificates {
    folder: PathBuf,
    files: Option<Trust>,
}

// === impl Quarters ===

impl Quarters {
    pub(crate) fn new(gate: Weak<Gate>) -> Self {
        Self { gate, folder: OnceLock::new() }
    }

    /// Says where certificates may be written; once.
    pub(crate) fn keep_under(&self, folder: PathBuf) {
        // A second folder would be that of another node.
        let _ = self.folder.set(folder);
    }

    /// Starts a server in its sandbox. `command` is what runs without one.
    pub(crate) async fn start(
        &self,
        spawner: &Spawner,
        whose: (&WorkspaceName, &ServerName),
        command: Command,
        sandboxed: &Sandboxed,
    ) -> Result<(Child, Residence), UpstreamError> {
        let gate = self.gate.upgrade().ok_or(UpstreamError::Gone)?;
        let (workspace, server) = whose;
        let run = gate.kernel.queue_server_run(workspace, server).await;
        let run = run.map_err(|error| UpstreamError::NotBegun(error.to_string()))?;
        let mut residence = Residence { kernel: gate.kernel.clone(), run, mooring: None, has_ended: false };
        match self.enter(gate, spawner, command, sandboxed, &mut residence).await {
            Ok(child) => Ok((child, residence)),
            Err(error) => {
                residence.end(EndedBy::Start, error.to_string(), None, None).await;
                Err(error)
            }
        }
    }

    async fn enter(
        &self,
        gate: Arc<Gate>,
        spawner: &Spawner,
        command: Command,
        sandboxed: &Sandboxed,
        residence: &mut Residence,
    ) -> Result<Child, UpstreamError> {
        residence.step(RunStep::Starting).await?;
        let harbour = Gateway::of(gate);
        let own = harbour.authority(&residence.run);
        let trust = own.map(|own| self.trust(&residence.run, &own)).transpose()?;
        let command = sandboxed.around(command, trust.as_ref().and_then(|trust| trust.files.as_ref()));
        let mut created = spawner.create(&command).await?;
        // Shown inside by now.
        drop(trust);
        // What it asks of the network from its first moment on is answered.
        let sockets = created.take_sockets().map(|sockets| RunSockets {
            tcp: sockets.tcp,
            udp: sockets.udp,
            rest: sockets.rest,
            unseen: sockets.unseen,
        });
        residence.mooring = Some(harbour.attach(Arc::clone(&residence.run), sockets.unwrap_or_default()));
        let child = created.exec().await?;
        let layers = child.process.layers().told();
        let layers = layers.fold(Object::new(), |all, (name, state)| all.with(name, state));
        residence.step(RunStep::Running { layers }).await?;
        Ok(child)
    }

    fn trust(&self, run: &Run, own: &[u8]) -> Result<Certificates, UpstreamError> {
        let failed =
            |why: String| UpstreamError::NotBegun(format!("its certificates cannot be written: {why}"));
        let folder = self.folder.get().ok_or_else(|| failed("the node has no folder for them".to_owned()))?;
        let mut certificates = Certificates { folder: folder.join(run.id.to_string()), files: None };
        let written = std::fs::create_dir_all(&certificates.folder)
            .and_then(|()| Trust::write(&certificates.folder, own));
        certificates.files = Some(written.map_err(|error| failed(error.to_string()))?);
        Ok(certificates)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        self.files = None;
        // Empty now; what cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

// === impl Sandboxed ===

impl Sandboxed {
    /// The command in its sandbox.
    fn around(&self, command: Command, trust: Option<&Trust>) -> Command {
        let root = trust.map_or_else(|| self.root.clone(), |trust| trust.show(self.root.clone()));
        let command = command.root(root).network(Network::Gateway).limits(self.limits);
        if trust.is_some() { Trust::announce(command) } else { command }
    }
}

// === impl Residence ===

impl Residence {
    /// Returns when it is to end: killed by a person, or its time is up.
    pub(crate) async fn over(&self) -> (EndedBy, String) {
        self.kernel.run_over(&self.run).await
    }

    async fn step(&self, step: RunStep) -> Result<(), UpstreamError> {
        let taken = self.kernel.step_run(self.run.id, step, &Actor::node()).await;
        taken.map_err(|error| UpstreamError::NotBegun(error.to_string()))
    }

    /// Puts its end on record, with what it used: nothing of it is left.
    pub(crate) async fn end(
        mut self,
        why: EndedBy,
        mut reason: String,
        exit: Option<ExitStatus>,
        stats: Option<Stats>,
    ) {
        self.mooring = None;
        self.has_ended = true;
        if let Some(lack) = stats.as_ref().and_then(Stats::lack) {
            reason = format!("{reason}; {lack}");
        }
        let step = ended(why, reason, exit.map(exit_of), stats.as_ref().map(used_of));
        self.kernel.step_run_surely(self.run.id, step).await;
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        // Whoever wanted it has gone before it ran.
        if !self.has_ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (kernel, run) = (self.kernel.clone(), self.run.id);
            let step = ended(EndedBy::Start, "it was called off before it ran".to_owned(), None, None);
            runtime.spawn(async move { kernel.step_run_surely(run, step).await });
        }
    }
}

fn ended(why: EndedBy, reason: String, exit: Option<Exit>, used: Option<Used>) -> RunStep {
    // What it writes is for the gateway, and not kept.
    RunStep::Ended { why, reason, exit, output_bytes: 0, used }
}

fn used_of(stats: &Stats) -> Used {
    Used {
        memory_bytes_peak: stats.memory_bytes_peak,
        cpu_us: u64::try_from(stats.cpu.as_micros()).unwrap_or(u64::MAX),
        memory_kills: stats.memory_kills.unwrap_or_default(),
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match status {
        ExitStatus::Exited(code) => Exit::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        ExitStatus::Signaled(signal) => Exit::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
        ExitStatus::Killed => Exit::Signal(9),
    }
}
