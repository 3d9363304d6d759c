//! The command line, as people and programs use it.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;

use crate::limits::COMMAND;
use crate::mcp::parse;
use crate::patience::within;
use crate::upstream::beside_the_tests;

/// The program: `RINGFENCE_BIN`, else the one that Cargo built next to the tests.
pub fn program() -> PathBuf {
    std::env::var_os("RINGFENCE_BIN").map_or_else(|| beside_the_tests("ringfence"), PathBuf::from)
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// 0 done, 1 the answer is no, 2 wrong use, 3 cannot reach the node; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Expects an exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        parse(self.stdout.as_bytes())
            .unwrap_or_else(|error| panic!("not one document ({error}): {}", self.stdout))
    }

    /// The JSON lines on standard output.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| parse(line.as_bytes()).unwrap_or_else(|error| panic!("not JSON ({error}): {line}")))
            .collect()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs one command to its end, in a folder, with nothing of the test's environment that could steer it.
pub async fn run(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = command(folder);
    command.args(arguments).kill_on_drop(true);
    let what = format!("ringfence {}", arguments.join(" "));
    let output = within(COMMAND, &what, command.output()).await;
    output.unwrap_or_else(|error| panic!("{what}: {error}")).into()
}

/// The program, ready for arguments.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).env_remove("RINGFENCE_NODE").env_remove("RINGFENCE_TOKEN");
    command
}
