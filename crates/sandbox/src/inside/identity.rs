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

/// Maps the user and group to themselves, and nobody else.
pub(crate) fn write_maps(identity: Identity) -> io::Result<()> {
    // The files below /proc of a process that is not dumpable belong to root, and this user could not write
    // them. This process runs nothing but our code and holds no secret of the node, so that it may be dumpable
    // for this moment.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let written = write(identity);
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    written
}

fn write(Identity { user, group }: Identity) -> io::Result<()> {
    // A group map may be written by an unprivileged user only after setgroups is given up.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}
