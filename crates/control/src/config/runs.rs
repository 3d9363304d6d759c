//! What `agents.NAME.run` and the limits of its sandbox come to.

use std::path::PathBuf;
use std::time::Duration;

use ringfence_document::Place;
use ringfence_runs::{Recipe, Rootfs};
use ringfence_sandbox::{DriverName, LayerName};

/// A program that the node starts as the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The folder with the agent's files, absolute, without symbolic links in it.
    pub files: Option<PathBuf>,
    /// More that is shown of the machine's files.
    pub mounts: Vec<MountConfig>,
    /// The environments of packages that it finds.
    pub recipes: Vec<Recipe>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Whether it may be given something to read.
    pub stdin: bool,
    /// Bytes of what the agent keeps between runs; `None` where it keeps nothing.
    pub state: Option<u64>,
    /// Layers without which it is not started.
    pub require: Vec<LayerName>,
    /// What keeps it apart from the machine.
    pub driver: DriverName,
    /// What its root is made of.
    pub rootfs: Rootfs,
    /// Where it stands.
    pub place: Place,
}

/// A file or folder of the machine that is shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountConfig {
    /// On the machine, absolute.
    pub source: PathBuf,
    /// Inside, absolute.
    pub target: PathBuf,
    /// Whether it can be changed from inside.
    pub writable: bool,
    /// Where the configuration names it.
    pub place: Place,
}

/// What one run may use of the machine; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Hundredths of a processor.
    pub cpu_percent: Option<u32>,
    /// Bytes of its work folder.
    pub disk: u64,
    /// Bytes of standard output and standard error together.
    pub output: u64,
    /// How long it may do nothing.
    pub idle: Option<Duration>,
    /// Bytes of what it may leave to be kept.
    pub artifacts: Option<u64>,
}

// === impl SandboxLimits ===

impl Default for SandboxLimits {
    /// What holds where nothing is written: a gibibyte of memory, 256 processes, as much processor as there is, 256 MiB of
    /// work folder, 16 MiB of output, any idleness, 64 MiB of
    /// artifacts.
    fn default() -> Self {
        Self {
            memory: Some(1 << 30),
            processes: Some(256),
            cpu_percent: None,
            disk: 256 << 20,
            output: 16 << 20,
            idle: None,
            artifacts: Some(64 << 20),
        }
    }
}
