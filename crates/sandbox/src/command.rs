//! What to run, and with what.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::driver::Confinement;
use crate::error::SpawnError;
use crate::layer::LayerName;
use crate::limits::{ARGUMENTS_MAX, HIDDEN_PATHS_MAX, HOLD_TIMEOUT, HOME_BYTES_DEFAULT, VARIABLES_MAX};
use crate::network::Network;
use crate::restricted;
use crate::root::Root;
use crate::volume::{self, Volume};

/// A program to run in a sandbox, with its arguments, environment and limits.
///
/// The child's environment is `PATH` and `LANG` of the node, `HOME` and `TMPDIR` in a private folder, and what
/// [`Command::variable`] adds; nothing else of the node's environment reaches it. With a [`Root`] of its own, `PATH`
/// is the usual one and `TMPDIR` is `/tmp`.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) required: Vec<LayerName>,
    pub(crate) limits: Limits,
    pub(crate) root: Option<Root>,
    pub(crate) network: Network,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) hold: Duration,
    pub(crate) errors_read: bool,
    pub(crate) confinement: Confinement,
}

/// What a child may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open files (`RLIMIT_NOFILE`, soft and hard); `None` is what the node was started with; for a child with a root
    /// of its own at most [`crate::limits::OPEN_FILES_DEFAULT`], and at most half of what the node may open.
    pub open_files: Option<u64>,
    /// Processes and threads: by a cgroup where one can be made, and by `RLIMIT_NPROC`, where the kernel counts
    /// the child's user (in a user namespace of its own the child alone) and exempts root. `None` is what the node
    /// was started with; for a child with a root of its own [`crate::limits::PROCESSES_DEFAULT`].
    pub processes: Option<u64>,
    /// Bytes of the private home.
    pub home_bytes: u64,
    /// Bytes of memory, files in memory included, by a cgroup; beyond it the kernel kills. `None` is no bound.
    pub memory_bytes: Option<u64>,
    /// Processor time by a cgroup, in hundredths of one processor: 150 is one and a half. `None` is no bound.
    pub cpu_percent: Option<u32>,
    /// Bytes of one file (`RLIMIT_FSIZE`). `None` is what the node was started with; for a child with a root of its
    /// own [`crate::limits::FILE_BYTES_DEFAULT`].
    pub file_bytes: Option<u64>,
}

// === impl Command ===

impl Command {
    /// A program: a name that is looked up in `PATH`, or a path.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            directory: None,
            variables: Vec::new(),
            hidden: Vec::new(),
            required: Vec::new(),
            limits: Limits::default(),
            root: None,
            network: Network::Host,
            volumes: Vec::new(),
            hold: HOLD_TIMEOUT,
            errors_read: true,
            confinement: Confinement::Local,
        }
    }

    /// Adds one argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The directory it starts in, absolute; without one, its private home.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Adds an environment variable; the last of one name counts, also over the base.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Hides one more path, absolute, beside those the spawner hides from every child. It must exist.
    pub fn hide(mut self, path: impl Into<PathBuf>) -> Self {
        self.hidden.push(path.into());
        self
    }

    /// Refuses to run the program when this layer is not in force.
    pub fn require(mut self, layer: LayerName) -> Self {
        self.required.push(layer);
        self
    }

    /// What it may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A root of its own instead of the machine's files with some hidden. The child is refused where one cannot be
    /// made.
    pub fn root(mut self, root: Root) -> Self {
        self.root = Some(root);
        self
    }

    /// What it can reach; without this, what the machine can. The child is refused where it would reach more.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// An empty folder in memory at `target` in its root, of at most so many bytes and [`crate::limits::VOLUME_FILES`]
    /// files, which the child may change and whose descriptor the node gets: by it the folder can be filled before the
    /// program runs ([`crate::Created::take_volumes`]), and read after everything inside has ended. It is gone with
    /// the last descriptor.
    ///
    /// What the child writes counts to its memory, what the node writes to the node's.
    pub fn volume(mut self, target: impl Into<PathBuf>, bytes: u64) -> Self {
        self.volumes.push(Volume { target: target.into(), bytes });
        self
    }

    /// How long its sandbox waits for [`crate::Created::exec`]; without this, and at most, [`HOLD_TIMEOUT`].
    pub fn hold_at_most(mut self, hold: Duration) -> Self {
        self.hold = hold.min(HOLD_TIMEOUT);
        self
    }

    /// Leaves its standard error to be read by [`crate::Child::take_errors`], instead of keeping its last part.
    pub fn errors_unread(mut self) -> Self {
        self.errors_read = false;
        self
    }

    /// How it is kept apart; without this, by [`crate::DriverName::Local`].
    pub(crate) fn confined(mut self, confinement: Confinement) -> Self {
        self.confinement = confinement;
        self
    }

    /// The layers that are told of it.
    pub(crate) fn layers(&self) -> Vec<LayerName> {
        if self.root.is_some() {
            return LayerName::ALL.to_vec();
        }
        let own = LayerName::TOOL_SERVER;
        let ordered = [
            (LayerName::NetworkNamespace, self.network.is_own()),
            (LayerName::TransparentProxy, self.network.is_own()),
            (LayerName::MemoryLimit, self.limits.memory_bytes.is_some()),
            (LayerName::ProcessLimit, self.limits.processes.is_some()),
            (LayerName::CpuLimit, self.limits.cpu_percent.is_some()),
        ];
        let told = |name: &LayerName| own.contains(name) || ordered.contains(&(*name, true));
        LayerName::ALL.into_iter().filter(told).collect()
    }

    /// What the kernel or the spawner would refuse, said before anything is started.
    pub(crate) fn validate(&self) -> Result<(), SpawnError> {
        let invalid = |what: String| Err(SpawnError::Invalid(what));
        if self.program.is_empty() {
            return invalid("the program is empty".to_owned());
        }
        if self.arguments.len() > ARGUMENTS_MAX {
            return invalid(format!("{} arguments; at most {ARGUMENTS_MAX}", self.arguments.len()));
        }
        // The base adds four: PATH, LANG, HOME, TMPDIR.
        if self.variables.len() + 4 > VARIABLES_MAX {
            return invalid(format!(
                "{} environment variables; at most {}",
                self.variables.len(),
                VARIABLES_MAX - 4
            ));
        }
        if self.hidden.len() > HIDDEN_PATHS_MAX {
            return invalid(format!("{} hidden paths; at most {HIDDEN_PATHS_MAX}", self.hidden.len()));
        }
        if has_nul(&self.program) || self.arguments.iter().any(|argument| has_nul(argument)) {
            return invalid("the program or an argument has a NUL byte".to_owned());
        }
        if let Some(path) = self.directory.iter().chain(&self.hidden).find(|path| !usable(path)) {
            return invalid(format!("{} is not an absolute path", path.display()));
        }
        if let Some(root) = &self.root {
            root.validate()?;
            if !self.hidden.is_empty() {
                return invalid("a child with a root of its own has nothing to hide".to_owned());
            }
        }
        if self.confinement == Confinement::Restricted {
            restricted::validate(self)?;
        }
        volume::validate(&self.volumes, self.root.as_ref())?;
        if self.limits.memory_bytes == Some(0)
            || self.limits.cpu_percent == Some(0)
            || self.limits.home_bytes == 0
        {
            return invalid("a limit of 0 leaves nothing to run in".to_owned());
        }
        match self.variables.iter().find(|(name, value)| !variable_name(name) || has_nul(value)) {
            Some((name, _)) => invalid(format!("the environment variable {} cannot be set", name.display())),
            None => Ok(()),
        }
    }
}

/// Shows neither arguments nor values: both may hold credentials.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("directory", &self.directory)
            .field("variables", &names)
            .field("hidden", &self.hidden)
            .field("required", &self.required)
            .field("limits", &self.limits)
            .field("root", &self.root)
            .field("network", &self.network)
            .field("volumes", &self.volumes)
            .field("hold", &self.hold)
            .field("errors_read", &self.errors_read)
            .field("driver", &self.confinement.name())
            .finish()
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_files: None,
            processes: None,
            home_bytes: HOME_BYTES_DEFAULT,
            memory_bytes: None,
            cpu_percent: None,
            file_bytes: None,
        }
    }
}

fn has_nul(text: &OsStr) -> bool {
    text.as_bytes().contains(&0)
}

fn usable(path: &Path) -> bool {
    path.is_absolute() && !has_nul(path.as_os_str())
}

fn variable_name(name: &OsStr) -> bool {
    !name.is_empty() && !has_nul(name) && !name.as_bytes().contains(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_run_is_refused_before_anything_starts() {
        let refused = [
            Command::new(""),
            Command::new("a\0b"),
            Command::new("a").argument("x\0"),
            Command::new("a").arguments(vec!["x"; ARGUMENTS_MAX + 1]),
            Command::new("a").directory("relative"),
            Command::new("a").hide("relative"),
            Command::new("a").variable("", "x"),
            Command::new("a").variable("A=B", "x"),
            Command::new("a").variable("A", "x\0"),
            (0..VARIABLES_MAX).fold(Command::new("a"), |command, n| command.variable(format!("V{n}"), "")),
            (0..=HIDDEN_PATHS_MAX).fold(Command::new("a"), |command, _| command.hide("/")),
        ];
        for command in refused {
            assert!(matches!(command.validate(), Err(SpawnError::Invalid(_))), "{command:?}");
        }
        let fine = Command::new("a").argument("").directory("/").variable("A", "=").hide("/x");
        assert!(fine.validate().is_ok());
    }

    #[test]
    fn debug_output_holds_no_argument_and_no_value() {
        let command = Command::new("server").argument("--key=hunter2").variable("TOKEN", "hunter3");
        let shown = format!("{command:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hunter"), "{shown}");
    }
}
