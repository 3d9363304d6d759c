//! A user namespace in which the user is who it was: user_namespaces(7).

use std::io;

use rustix::process::{DumpableBehavior, getegid, geteuid, set_dumpable_behavior};

/// A user and group id, outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    user: u32,
    group: u32,
}

impl Identity {
    /// Whose process this is. To be asked before a user namespace is made: inside, until the map is written,
    /// everybody is nobody.
    pub(crate) fn current() -> Self {
        Self { user: geteuid().as_raw(), group: getegid().as_raw() }
    }

    /// The user id.
    pub(crate) const fn user(self) -> u32 {
        self.user
    }
}

/// The user and group id of an agent in its box.
pub(crate) const AGENT: u32 = 1_000;

/// Whom the user is in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Itself.
    Itself,
    /// An ordinary user, also when it is root outside.
    Agent,
    /// Root, with every right over its box: an OCI runtime, which leaves the program none.
    Root,
}

/// Maps the user and group, and nobody else. To be called while this process is dumpable.
pub(crate) fn write_maps(Identity { user, group }: Identity, known: Known) -> io::Result<()> {
    let (inner_user, inner_group) = match known {
        Known::Itself => (user, group),
        Known::Agent => (AGENT, AGENT),
        Known::Root => (0, 0),
    };
    // A group map may be written by an unprivileged user only after setgroups is given up.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{inner_user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{inner_group} {group} 1"))
}

/// Does something with files of this process below `/proc`. Those of a process that is not dumpable belong to
/// root, and this user could not write them. This process runs nothing but our code and holds no secret of the
/// node, so that it may be dumpable for this moment.
pub(crate) fn while_dumpable<T>(act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let outcome = act();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    outcome
}
