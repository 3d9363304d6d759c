//! The node that is measured: the program as it is shipped, in a process and a folder of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Failure, failure};
use crate::process::{Cpu, Memory};
use crate::{config, control, process};

/// How long a node may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(30);

/// What the node says about itself, in its folder.
const SAID: &str = "node.log";

/// A running node. Dropping it kills it.
pub struct Node {
    child: Child,
    folder: PathBuf,
    /// Where agents go.
    pub gateway: SocketAddr,
    /// From the start of the process until it said that it is ready for actions.
    pub ready_after: Duration,
    /// Kept open, so that the node never writes into a closed pipe.
    _output: BufReader<ChildStdout>,
}

// === impl Node ===

impl Node {
    /// Starts a node on a folder, and waits until it is ready for actions. What the folder's data was stays.
    pub async fn start(folder: &Path, upstream: SocketAddr) -> Result<Self, Failure> {
        config::write(folder, upstream)?;
        Self::start_again(folder).await
    }

    /// Starts a node on a folder that has its configuration already.
    pub async fn start_again(folder: &Path) -> Result<Self, Failure> {
        Self::start_with(folder, &[]).await
    }

    /// As there, with more in its environment.
    pub async fn start_with(folder: &Path, environment: &[(&str, PathBuf)]) -> Result<Self, Failure> {
        let mut command = Command::new(program()?);
        command
            .current_dir(folder)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .args(["up", "-c", "ringfence.yaml", "--data", "data", "--json"])
            .args(["--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join(SAID))?);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("the node has no standard output")?;
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line)
            .map_err(|_| failure(format!("the node does not start: {}", last_words(folder))))?;
        let (gateway, control) = (address(&said, "gateway")?, address(&said, "control")?);
        control::ready(control).await?;
        let ready_after = started.elapsed();
        Ok(Self { child, folder: folder.to_owned(), gateway, ready_after, _output: output })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The socket of its operators.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("data/control.sock")
    }

    /// A token for a new run.
    pub async fn mint(&self) -> Result<String, Failure> {
        let mut operator = control::Operator::connect(&self.socket()).await?;
        operator.mint(config::WORKSPACE, config::AGENT).await
    }

    /// What it has used of the processors until now, all its threads together, without its children.
    pub fn cpu(&self) -> Result<Cpu, Failure> {
        process::cpu(self.child.id())
    }

    /// What it has in memory.
    pub fn memory(&self) -> Result<Memory, Failure> {
        process::memory(self.child.id())
    }

    /// Bytes of everything it keeps.
    pub fn data_bytes(&self) -> u64 {
        size_of_folder(&self.folder.join("data"))
    }

    /// Asks it to end, and waits for it. Returns how long it took.
    pub fn stop(mut self) -> Result<Duration, Failure> {
        let asked = Instant::now();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOP {
                return Err(failure("the node does not end"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(asked.elapsed())
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program: `RINGFENCE_BIN`, else the one that Cargo built next to the benches.
pub fn program() -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("RINGFENCE_BIN") {
        return Ok(named.into());
    }
    let beside = std::env::current_exe()?.with_file_name("ringfence");
    if beside.is_file() { Ok(beside) } else { Err(failure("not built: cargo build --release -p ringfence")) }
}

fn last_words(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(SAID)).unwrap_or_default()
}

fn address(said: &Value, field: &str) -> Result<SocketAddr, Failure> {
    let url = said[field].as_str().unwrap_or_default();
    url.strip_prefix("http://")
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| failure(format!("no {field} in {said}")))
}

fn size_of_folder(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = folder.read_dir() else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of_folder(&entry.path()),
            Ok(data) => data.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
