//! A program that runs beside a test, says where it listens, and dies with the test.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::limits::{EFFECT, START};
use crate::patience::within;

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    said: Arc<Mutex<String>>,
    /// Kept open, so that the program never writes into a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a program and waits for its first line of JSON on standard output.
    ///
    /// Its standard error goes to the test's, line by line under the program's name.
    pub async fn start(mut command: Command) -> (Self, Value) {
        let name = short_name(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let said = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(relay(name.clone(), stderr, Arc::clone(&said)));
        }
        let stdout = child.stdout.take().unwrap_or_else(|| panic!("{name} has no standard output"));
        let mut output = BufReader::new(stdout).lines();
        let first = within(START, &format!("{name} prints its address"), first_json(&mut output)).await;
        let first = first.unwrap_or_else(|| panic!("{name} ended before it printed its address"));
        (Self { name, child, said, _output: output }, first)
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has said on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it as a power cut would: SIGKILL, nothing is flushed.
    pub async fn kill(&mut self) {
        within(EFFECT, &format!("{} dies", self.name), self.child.kill())
            .await
            .unwrap_or_else(|error| panic!("{} cannot be killed: {error}", self.name));
    }

    /// Asks it to end, by SIGTERM, and waits for its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        let pid = self.pid().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let status = within(EFFECT, &format!("{} ends", self.name), self.child.wait()).await;
        status.ok().and_then(|status| status.code())
    }
}

fn short_name(command: &Command) -> String {
    let program = Path::new(command.as_std().get_program());
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first line that is a JSON object; what comes before it is for people.
async fn first_json(output: &mut Lines<BufReader<ChildStdout>>) -> Option<Value> {
    while let Ok(Some(line)) = output.next_line().await {
        if let Ok(value) = serde_json::from_str::<Value>(&line)
            && value.is_object()
        {
            return Some(value);
        }
        println!("{line}");
    }
    None
}

async fn relay(name: String, output: impl AsyncRead + Unpin, said: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("[{name}] {line}");
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&line);
        said.push('\n');
    }
}
