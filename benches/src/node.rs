//! The node that is measured: the program as it is shipped, in a process and a folder of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Failure, failure};
use crate::{config, control};

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

/// What a process has used of the processors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub most: u64,
    /// Resident of anonymous memory: without the program's own file.
    pub anonymous: u64,
    /// Resident, with shared pages by their share; unknown where the machine does not tell.
    pub proportional: Option<u64>,
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
        let mut command = Command::new(program()?);
        command
            .current_dir(folder)
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
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // proc(5): the name in parentheses may have spaces; after it come the state (field 3) and the rest.
        let rest = text.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let mut ticks = || -> Result<Duration, Failure> {
            let ticks: u32 = fields.next().ok_or("no times in /proc/PID/stat")?.parse()?;
            Ok(Duration::from_secs(1) * ticks / u32::try_from(rustix::param::clock_ticks_per_second())?)
        };
        Ok(Cpu { user: ticks()?, system: ticks()? })
    }

    /// What it has in memory.
    pub fn memory(&self) -> Result<Memory, Failure> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(folder.join("status"))?;
        let rollup = std::fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
        let needed =
            |name| kilobytes(&status, name).ok_or_else(|| failure(format!("no {name} in /proc/PID/status")));
        Ok(Memory {
            resident: needed("VmRSS")?,
            most: needed("VmHWM")?,
            anonymous: needed("RssAnon")?,
            proportional: kilobytes(&rollup, "Pss"),
        })
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
fn program() -> Result<PathBuf, Failure> {
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

/// A size in bytes from a line such as `VmRSS:   1234 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
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

// === impl Cpu ===

impl Cpu {
    /// User and system time together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier look.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

#[cfg(test)]
mod tests {
    use super::kilobytes;

    #[test]
    fn sizes_are_found_by_their_whole_name() {
        let text = "VmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nRssAnon:\t 512 kB\nThreads:\t4\n";
        assert_eq!(kilobytes(text, "VmRSS"), Some(1 << 20));
        assert_eq!(kilobytes(text, "Vm"), None);
        assert_eq!(kilobytes(text, "Threads"), None);
    }
}
