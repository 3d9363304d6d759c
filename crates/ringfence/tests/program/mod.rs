//! The program as it is run, in a folder of its own.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use ringfence_json::{Limits, Value, parse};
use tempfile::TempDir;

/// One workspace `lab`, whose agent holds a server that nobody answers for.
pub const CONFIGURATION: &str = "organization: acme
workspaces:
  lab:
    environment: test
    tools: { search: { url: 'http://127.0.0.1:9/mcp', capability: web_search } }
    agents: { assistant: { tools: [search/*] } }
    policy: [safety-policy.yaml]
";

/// What is granted is allowed.
pub const POLICY: &str = "rules:
  - name: everything
    match: {}
    decision: ALLOW
";

/// A place with these two.
pub fn place() -> Place {
    let place = Place::new();
    place.write("ringfence.yaml", CONFIGURATION);
    place.write("safety-policy.yaml", POLICY);
    place
}

/// A member that has to be a text.
pub fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// A folder to run in.
pub struct Place {
    folder: TempDir,
}

/// What the program said and how it ended.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A command that goes on. Dropping it kills it.
pub struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A node that runs. Dropping it kills it.
pub struct Up {
    child: Child,
    pub announced: Value,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.end(self.command(arguments))
    }

    /// As [`Place::run`], by TCP as the person whose token this is.
    pub fn run_as(&self, token: &str, node: &Up, arguments: &[&str]) -> Said {
        let control = node.announced.get("control").and_then(Value::as_str).unwrap();
        let mut command = self.command(arguments);
        command.env("RINGFENCE_TOKEN", token).env("RINGFENCE_NODE", control);
        self.end(command)
    }

    /// Starts a command that goes on until it is dropped.
    pub fn follow(&self, arguments: &[&str]) -> Following {
        let mut child = self.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { child, lines }
    }

    fn end(&self, mut command: Command) -> Said {
        let output = command.output().unwrap();
        let clean = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&*self.path().to_string_lossy(), "HERE")
        };
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: clean(output.stdout),
            stderr: clean(output.stderr),
        }
    }

    /// Starts a node on free ports and waits until it says where.
    pub fn up(&self) -> Up {
        let arguments = ["up", "--json", "--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        let mut child =
            self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("the node did not start: {stderr}");
        }
        Up { child, announced: json(&line) }
    }
}

impl Said {
    /// Expects an exit status.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The one document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        json(&self.stdout)
    }
}

impl Following {
    /// The next line with that text; the others are passed over.
    #[track_caller]
    pub fn line_with(&mut self, text: &str) -> String {
        let found = self.lines.by_ref().map(Result::unwrap).find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("it ended without {text:?}"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Up {
    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// Asks it to stop; its exit status.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads JSON.
#[track_caller]
pub fn json(text: &str) -> Value {
    parse(text.trim().as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"))
}
