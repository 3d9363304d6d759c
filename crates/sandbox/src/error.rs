//! Why a spawner or a child could not be started.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::driver::DriverName;
use crate::layer::LayerName;

/// Why a spawner or a child could not be started. Never holds arguments or values of the environment.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The spawner process itself could not be started.
    #[error("the spawner process could not be started: {0}")]
    Start(#[source] io::Error),

    /// The spawner started and refused to work.
    #[error("the spawner process could not set itself up: {0}")]
    Unready(String),

    /// The spawner has died, and every child with it. It does not come back: restart the node.
    #[error("the spawner process has died, and every tool server with it; restart the node")]
    SpawnerGone,

    /// The command cannot be run as it is written.
    #[error("the command is not valid: {0}")]
    Invalid(String),

    /// The command with its arguments and environment is larger than the bound.
    #[error("the command with its arguments and environment takes {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// What it takes.
        bytes: usize,
        /// [`crate::limits::MESSAGE_BYTES_MAX`].
        max: usize,
    },

    /// A sandbox can be set up, and programs do not work in it.
    #[error("programs start in `{driver}` and cannot look at files: `stat /usr` there: {how}")]
    Useless {
        /// The driver.
        driver: DriverName,
        /// What the program said.
        how: String,
    },

    /// As many children as one spawner keeps are running.
    #[error(
        "{max} tool servers are running already; stop one, or share them between runs (`share: workspace`)"
    )]
    TooMany {
        /// [`crate::limits::CHILDREN_MAX`].
        max: usize,
    },

    /// There is no such program.
    #[error(
        "the program `{program}` was not found in PATH ({path}); install it, or give its absolute path in `command:`"
    )]
    NotFound {
        /// As it was given.
        program: String,
        /// Where it was looked for.
        path: String,
    },

    /// There is no file at the path that was given.
    #[error(
        "the program `{program}` does not exist, or lies in a folder that is hidden from tool servers; \
         check the path in `command:`"
    )]
    NoSuchFile {
        /// As it was given.
        program: String,
    },

    /// The file exists, but what is to interpret it does not.
    #[error(
        "the program `{program}` exists, but the interpreter that its first line (or its header) names does not"
    )]
    NoInterpreter {
        /// As it was given.
        program: String,
    },

    /// The program may not be executed.
    #[error(
        "the program `{program}` may not be executed: {source}; check its mode (chmod +x) and its folders"
    )]
    NotExecutable {
        /// As it was given.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// The kernel refused to execute the program.
    #[error("the program `{program}` could not be executed: {source}")]
    Exec {
        /// As it was given.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// The working directory cannot be entered.
    #[error("the working directory {} cannot be entered: {source}", path.display())]
    WorkingDirectory {
        /// As it was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// A layer that the command requires is not in force; nothing was executed.
    #[error("the sandbox layer {name} is required and missing: {reason}; to get it: {}", name.remedy())]
    LayerMissing {
        /// Which layer.
        name: LayerName,
        /// Why it is missing.
        reason: String,
    },

    /// A step of setting up the sandbox failed; nothing was executed.
    #[error("the sandbox could not be set up: {0}")]
    Setup(String),

    /// The program was not running in time; what had been started is killed.
    #[error("the program was not running after {} s; it has been killed", after.as_secs())]
    TimedOut {
        /// [`crate::limits::SPAWN_TIMEOUT`].
        after: Duration,
    },

    /// Its sandbox was held longer than it waits; nothing was executed and nothing of it is left.
    #[error("the sandbox waited {after:?} for its program to be started, and has ended; make a new one")]
    HeldTooLong {
        /// [`crate::Command::hold_at_most`].
        after: Duration,
    },

    /// An OCI runtime is asked for that is not on this machine.
    #[error(
        "`driver: {name}` needs the program {name}, which is neither in PATH nor in /usr/sbin; install it, or leave `driver` out"
    )]
    NoRuntime {
        /// Its name.
        name: &'static str,
    },

    /// Pipes or sockets could not be made, as a rule because too many files are open.
    #[error("no pipes for the tool server: {0}")]
    Pipes(#[source] io::Error),
}
