//! A node in a folder of its own.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{self, Said};
use crate::config::Config;
use crate::mcp::http::{self, Answer};
use crate::process::Process;
use crate::upstream::text;

/// What a node finds around it, where that is not as usual.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Its data folder; `data` in its own folder unless given.
    pub data: Option<PathBuf>,
    /// More of an environment.
    pub environment: Vec<(&'static str, PathBuf)>,
}

/// A running node. Dropping it kills it and removes its folder.
pub struct Node {
    process: Process,
    folder: TempDir,
    surroundings: Surroundings,
    /// Where agents go.
    pub gateway: String,
    /// Where operators go.
    pub control: String,
}

impl Node {
    /// Starts a node on free ports.
    pub async fn start(config: &Config) -> Self {
        Self::start_in(Surroundings::default(), config).await
    }

    /// Starts a node on free ports in surroundings that are not as usual.
    pub async fn start_in(surroundings: Surroundings, config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        write(folder.path(), config);
        let (process, started) = up(folder.path(), &surroundings).await;
        let (gateway, control) = (text(&started, "gateway"), text(&started, "control"));
        Self { process, folder, surroundings, gateway, control }
    }

    /// Its folder, with the configuration and, under `data`, everything else.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data.
    pub fn data(&self) -> PathBuf {
        self.surroundings.data.clone().unwrap_or_else(|| self.folder.path().join("data"))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// What it has said on standard error since it was started.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// The endpoint of one server.
    pub fn mcp(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.gateway)
    }

    /// The endpoint of everything the agent holds.
    pub fn everything(&self) -> String {
        format!("{}/mcp", self.gateway)
    }

    /// A token for a run of the agent `assistant`, for the user `robin`, who approves nothing.
    pub async fn mint(&self, workspace: &str) -> String {
        text(&self.mint_run(workspace).await, "token")
    }

    /// Like [`mint`](Self::mint): the whole answer, with `token`, `run` and `expires_at`.
    pub async fn mint_run(&self, workspace: &str) -> Value {
        let arguments =
            ["token", "mint", "-w", workspace, "--agent", "assistant", "--user", "robin", "--json"];
        self.cli(&arguments).await.expect(0).json()
    }

    /// Runs a command against this node.
    pub async fn cli(&self, arguments: &[&str]) -> Said {
        let data = self.data();
        let data = data.to_str().unwrap_or_else(|| panic!("{} is not text", data.display()));
        let mut all = vec!["--data", data];
        all.extend(arguments);
        cli::run(self.folder(), &all).await
    }

    /// Asks the operators' API over the socket, as the command line does, without the time that a program takes to start.
    pub async fn api(&self, path: &str) -> Answer {
        http::get_over(&self.data().join("control.sock"), path).await
    }

    /// Ends it as a power cut would.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Asks it to end; its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.process.stop().await
    }

    /// Starts it again on the same folder. Its ports are new.
    pub async fn restart(&mut self) {
        let (process, started) = up(self.folder.path(), &self.surroundings).await;
        self.process = process;
        self.gateway = text(&started, "gateway");
        self.control = text(&started, "control");
    }

    /// Changes its files; it notices by itself.
    pub fn reconfigure(&self, config: &Config) {
        write(self.folder(), config);
    }
}

fn write(folder: &Path, config: &Config) {
    for (name, text) in &config.files {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

async fn up(folder: &Path, surroundings: &Surroundings) -> (Process, Value) {
    let mut command = cli::command(folder);
    command.args(["up", "-c", "ringfence.yaml", "--json", "--data"]);
    command.arg(surroundings.data.as_deref().unwrap_or(Path::new("data")));
    command.args(["--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    command.envs(surroundings.environment.iter().map(|(name, value)| (name, value)));
    Process::start(command).await
}
