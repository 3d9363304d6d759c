//! A process that holds secrets keeps them: no core files, no debugger, no reading of its memory.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use crate::limits::CORE_BYTES;

/// Makes this process not dumpable and forbids core files.
///
/// Other processes of the same user can then neither attach to it nor read its memory, environment or open
/// files below `/proc`. Call it first in `main`.
///
/// # Errors
/// What the kernel said; a node should not start then.
pub fn harden_process() -> io::Result<()> {
    // Asked for the first time, it is read below /proc where the kernel is older than 6.4, and afterwards nobody but
    // root may. What is started from here by fork finds it as well.
    let _ = rustix::param::page_size();
    let core = |bytes| setrlimit(Resource::Core, Rlimit { current: Some(bytes), maximum: Some(bytes) });
    // Where less is allowed, more takes a privilege.
    core(CORE_BYTES)
        .or_else(|_| core(CORE_BYTES.min(getrlimit(Resource::Core).maximum.unwrap_or(u64::MAX))))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
