//! What a run of an agent is made of, as the configuration has it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfence_kernel::Run;
use ringfence_sandbox::{Command, LayerName, Limits, Network, Root};

/// Where the agent's files are inside.
const FILES: &str = "/agent/files";

/// What is said where a program wants a key: the gateway adds the real one outside.
const KEY: &str = "unused";

/// What a run of an agent is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program and its arguments; without a slash it is looked up in `PATH`, with `./` it is one of the files.
    pub command: Vec<String>,
    /// The folder with the agent's files, shown read-only.
    pub files: Option<PathBuf>,
    /// More of the machine's files.
    pub mounts: Vec<Mount>,
    /// Variables beside those that every run has.
    pub environment: Vec<(String, String)>,
    /// The tool servers that the agent holds anything of.
    pub servers: Vec<String>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Hundredths of a processor.
    pub cpu_percent: Option<u32>,
    /// Bytes of its work folder.
    pub work_bytes: u64,
    /// Bytes that are kept of what it writes to standard output and standard error together.
    pub output_bytes: u64,
    /// It is ended when it neither writes nor acts for so long.
    pub idle: Option<Duration>,
    /// Layers without which it is refused.
    pub require: Vec<LayerName>,
}

/// A file or folder of the machine that is shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// On the machine, absolute.
    pub source: PathBuf,
    /// Inside, absolute.
    pub target: PathBuf,
    /// Whether it can be changed from inside.
    pub writable: bool,
}

// === impl Plan ===

impl Plan {
    /// The order for the sandbox. `trust`: whom programs inside are to trust, where that is not the machine's alone.
    pub(crate) fn order(&self, run: &Run, extra: &[String], trust: Option<&Trust>) -> Command {
        let (program, arguments) = match self.command.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            // An empty program is refused by the sandbox with a reason.
            None => ("", &[][..]),
        };
        let program = match (program.strip_prefix("./"), &self.files) {
            (Some(file), Some(_)) => format!("{FILES}/{file}"),
            _ => program.to_owned(),
        };
        let mut command = Command::new(program)
            .arguments(arguments.iter().chain(extra))
            .root(self.root(trust))
            .network(Network::Gateway)
            .errors_unread()
            .limits(Limits {
                processes: self.processes,
                memory_bytes: self.memory_bytes,
                cpu_percent: self.cpu_percent,
                home_bytes: self.work_bytes,
                ..Limits::default()
            });
        if self.files.is_some() {
            command = command.directory(FILES);
        }
        for (name, value) in self.variables(run, trust.is_some()) {
            command = command.variable(name, value);
        }
        self.require.iter().fold(command, |command, layer| command.require(*layer))
    }

    fn root(&self, trust: Option<&Trust>) -> Root {
        let mut root = Root::system();
        if let Some(files) = &self.files {
            root = root.read_only(files, FILES);
        }
        for Mount { source, target, writable } in &self.mounts {
            root = if *writable { root.writable(source, target) } else { root.read_only(source, target) };
        }
        match trust {
            Some(trust) => root.read_only(trust.all(), AUTHORITY).read_only(trust.own(), OWN_AUTHORITY),
            None => root,
        }
    }

    /// What every run finds in its environment, and what the configuration adds; the last of one name counts.
    fn variables(&self, run: &Run, has_trust: bool) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = vec![
            pair("OPENAI_BASE_URL", "http://gateway/openai/v1"),
            pair("OPENAI_API_KEY", KEY),
            pair("ANTHROPIC_BASE_URL", "http://gateway/anthropic"),
            pair("ANTHROPIC_API_KEY", KEY),
            pair("RINGFENCE_MCP_URL", "http://gateway/mcp"),
            pair("RINGFENCE_WORKSPACE", run.workspace.as_str()),
            pair("RINGFENCE_AGENT", run.agent.as_str()),
            pair("RINGFENCE_RUN", &run.id.to_string()),
            // What is printed is seen at once.
            pair("PYTHONUNBUFFERED", "1"),
        ];
        for server in &self.servers {
            let name = server.to_ascii_uppercase().replace('-', "_");
            all.push((format!("RINGFENCE_MCP_{name}_URL"), format!("http://gateway/mcp/{server}")));
        }
        if has_trust {
            for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"] {
                all.push(pair(name, AUTHORITY));
            }
            all.push(pair("NODE_EXTRA_CA_CERTS", OWN_AUTHORITY));
        }
        all.extend(self.environment.iter().cloned());
        all
    }
}

/// The authorities that programs inside trust: the machine's and the run's own; and the run's own alone.
const AUTHORITY: &str = "/agent/trust/all.pem";
const OWN_AUTHORITY: &str = "/agent/trust/run.pem";

/// Where distributions keep the authorities of the machine.
const MACHINES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The certificates that programs of one run trust, in files that are removed with this.
#[derive(Debug)]
pub(crate) struct Trust(PathBuf);

// === impl Trust ===

impl Trust {
    /// Writes them into a folder: the machine's and `own`, which is PEM.
    pub(crate) fn write(folder: &Path, own: &[u8]) -> io::Result<Self> {
        let trust = Self(folder.to_owned());
        let mut all = MACHINES.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
        if !all.is_empty() && !all.ends_with(b"\n") {
            all.push(b'\n');
        }
        all.extend_from_slice(own);
        std::fs::write(trust.all(), all)?;
        std::fs::write(trust.own(), own)?;
        Ok(trust)
    }

    fn all(&self) -> PathBuf {
        self.0.join("trust-all.pem")
    }

    fn own(&self) -> PathBuf {
        self.0.join("trust-run.pem")
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        // What cannot be removed goes with the folder, and holds no secret.
        let _ = std::fs::remove_file(self.all());
        let _ = std::fs::remove_file(self.own());
    }
}
