//! A process that holds secrets keeps them: no core files, no debugger, no reading of its memory.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes this process not dumpable and forbids core files.
///
/// Other processes of the same user can then neither attach to it nor read its memory, environment or open
/// files below `/proc`. Call it first in `main`.
///
/// # Errors
/// What the kernel said; a node should not start then.
pub fn harden_process() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
