//! An OCI runtime inside of a box of this crate's own: <https://github.com/opencontainers/runtime-spec>.
//!
//! The box is made as for [`crate::DriverName::Local`]: the same namespaces, the same network with its sockets, the same
//! cgroup, the same end of everything with its first process. In it, instead of the program, stands a bundle; the runtime
//! makes a container of it, starts the program in it, and is gone (runc, crun) or goes on answering its system calls
//! (runsc). It has rights over nothing but the box, and what it leaves behind (its state, its mounts) ends with the box.

mod bundle;
mod cubes;
mod found;
mod profile;

use std::path::PathBuf;

pub(crate) use self::bundle::{Bundle, bundle};
pub(crate) use self::found::{find, version_in};
use self::profile::profile;

/// Where the bundle is in the box.
pub(crate) const BUNDLE: &str = "/oci";

/// The root of the container, in the box.
pub(crate) const ROOTFS: &str = "/oci/rootfs";

/// What the runtime keeps, in the box.
pub(crate) const STATE: &str = "/oci/state";

/// The runtime itself, in the box.
pub(crate) const PROGRAM: &str = "/oci/runtime";

/// Where the process id of the container's first process is written.
pub(crate) const PROCESS: &str = "/oci/state/process";

/// Where the runtime says what is wrong.
pub(crate) const LOG: &str = "/oci/state/log";

/// The name of the only container in a box.
pub(crate) const CONTAINER: &str = "box";

/// Which runtime: they differ in options, and in what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Runc = 1,
    Crun = 2,
    Runsc = 3,
}

/// A runtime of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runtime {
    pub(crate) kind: Kind,
    /// The program, without symbolic links.
    pub(crate) path: PathBuf,
    /// As it says itself.
    pub(crate) version: String,
}

// === impl Kind ===

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Runsc => "runsc",
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Runc, Self::Crun, Self::Runsc].into_iter().find(|kind| *kind as u8 == code)
    }

    /// Whether it answers the program's system calls itself, so that neither the program nor our filter meets the
    /// machine's kernel.
    pub(crate) const fn is_kernel(self) -> bool {
        matches!(self, Self::Runsc)
    }

    /// Processes and threads that the runtime itself needs in the box, beside those of the program.
    pub(crate) const fn tasks(self) -> u64 {
        match self {
            // Only until the program runs.
            Self::Runc | Self::Crun => 24,
            // Its kernel and its file server stay; the version of 2022 hangs below 48.
            Self::Runsc => 96,
        }
    }

    /// Options before every command.
    pub(crate) fn options(self) -> Vec<String> {
        let root = |rest: &[&str]| {
            let mut all = vec![format!("--root={STATE}/run")];
            all.extend(rest.iter().map(ToString::to_string));
            all
        };
        match self {
            // In a user namespace whose root it is, runc may do all it needs; that it may not make cgroups is no error.
            Self::Runc => root(&["--rootless=true", &format!("--log={LOG}")]),
            Self::Crun => root(&["--cgroup-manager=disabled", &format!("--log=file:{LOG}")]),
            // The network namespace of the box is the one with the gateway in it.
            Self::Runsc => {
                root(&["--network=host", "--platform=ptrace", "--ignore-cgroups", &format!("--log={LOG}")])
            }
        }
    }
}

// === impl Runtime ===

impl Runtime {
    /// How it is named to people.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.version).trim_end().to_owned()
    }
}
