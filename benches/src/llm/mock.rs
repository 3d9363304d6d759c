//! The provider: `mock-model` in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::server::get;
use crate::failure::{Failure, failure};

/// A running provider. Dropping it kills it.
pub struct Mock {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

// === impl Mock ===

impl Mock {
    /// Starts the program that Cargo built beside the benches.
    pub fn start() -> Result<Self, Failure> {
        let program = std::env::current_exe()?.with_file_name("mock-model");
        if !program.is_file() {
            return Err(failure("not built: cargo build --release -p ringfence-mock-model"));
        }
        let mut command = Command::new(program);
        command.args(["--behave", "tokens=20,chunks=20"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("the provider has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line)?;
        let url = said["url"].as_str().unwrap_or_default();
        let address = url.trim_start_matches("http://").parse()?;
        Ok(Self { child, address })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has counted.
    pub async fn stats(&self) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&get(self.address, "/mock/stats").await?)?)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
