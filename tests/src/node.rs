//! A node in a folder of its own.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{self, Said};
use crate::config::Config;
use crate::process::Process;
use crate::upstream::text;

/// A running node. Dropping it kills it and removes its folder.
pub struct Node {
    process: Process,
    folder: TempDir,
    /// Where agents go.
    pub gateway: String,
    /// Where operators go.
    pub control: String,
}

impl Node {
    /// Starts a node on free ports.
    pub async fn start(config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        write(folder.path(), config);
        let (process, started) = up(folder.path()).await;
        Self { process, gateway: text(&started, "gateway"), control: text(&started, "control"), folder }
    }

    /// Its folder, with the configuration and, under `data`, everything else.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
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
        let mut all = arguments.to_vec();
        all.extend(["--data", data]);
        cli::run(self.folder(), &all).await
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
        let (process, started) = up(self.folder.path()).await;
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

async fn up(folder: &Path) -> (Process, Value) {
    let mut command = cli::command(folder);
    command.args(["up", "-c", "ringfence.yaml", "--data", "data", "--json"]);
    command.args(["--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    Process::start(command).await
}
