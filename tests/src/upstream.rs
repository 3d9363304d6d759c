//! The tool servers of these tests, see `src/bin/upstream`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::mcp::http;
use crate::process::Process;

/// A running server.
pub struct Upstream {
    /// Its MCP endpoint.
    pub url: String,
    process: Process,
}

impl Upstream {
    /// The good server, which writes executed calls to `calls`.
    pub async fn fixture(calls: Option<&Path>) -> Self {
        Self::start("fixture", calls, &[]).await
    }

    /// The server that misbehaves on request.
    pub async fn plain(calls: Option<&Path>, options: &[&str]) -> Self {
        Self::start("plain", calls, options).await
    }

    async fn start(kind: &str, calls: Option<&Path>, options: &[&str]) -> Self {
        let mut command = Command::new(beside_the_tests("upstream"));
        command.arg(kind).args(options);
        if let Some(calls) = calls {
            command.arg("--calls").arg(calls);
        }
        let (process, started) = Process::start(command).await;
        Self { url: text(&started, "url"), process }
    }

    /// What the hand-written server counted: `started`, `finished` and `aborted` calls.
    pub async fn counts(&self) -> Value {
        let url = self.url.replace("/mcp", "/state");
        http::get(&url).await.json()
    }

    /// Lets go of the calls of the tool `wait` of the hand-written server.
    pub async fn release(&self) {
        let url = self.url.replace("/mcp", "/release");
        http::post(&url, &[], "").await;
    }

    /// Changes the description of every tool of the hand-written server.
    pub async fn redefine(&self, description: &str) {
        let url = self.url.replace("/mcp", &format!("/definitions/{description}"));
        http::post(&url, &[], "").await;
    }

    /// Ends it without notice.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }
}

/// The calls that a server has executed, in order; none if it has written nothing yet.
pub fn executed(calls: &Path) -> Vec<Value> {
    let list = std::fs::read_to_string(calls).unwrap_or_default();
    list.lines()
        .map(|line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("a broken line in the list of calls: {error}"))
        })
        .collect()
}

/// A program that Cargo built next to this test.
pub fn beside_the_tests(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
    let found = test.ancestors().skip(1).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: cargo build -p ringfence-tests --bins"))
}

/// A text field of a line of JSON that a program printed.
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}
