//! Resource limits of a child: getrlimit(2).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Setup;
use crate::limits::{FILE_BYTES_DEFAULT, LOCKED_BYTES, PROCESSES_DEFAULT};

/// No core files; open files, processes and the size of files as ordered. A child with a root of its own has a
/// bound on each, ordered or not.
pub(super) fn apply(setup: &Setup<'_>) -> io::Result<()> {
    set(Resource::Core, 0, 0)?;
    let maximum = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limits = setup.order.limits;
    let boxed = setup.order.root.is_some();
    match limits.open_files {
        Some(files) => set(Resource::Nofile, files.min(maximum), files.min(maximum))?,
        // The spawner raised its own soft limit; programs that use select() rely on the usual one.
        None => set(Resource::Nofile, setup.open_files.min(maximum), maximum)?,
    }
    if let Some(processes) = limits.processes.or(boxed.then_some(PROCESSES_DEFAULT)) {
        lower(Resource::Nproc, processes)?;
    }
    if let Some(bytes) = limits.file_bytes.or(boxed.then_some(FILE_BYTES_DEFAULT)) {
        lower(Resource::Fsize, bytes)?;
    }
    if boxed {
        lower(Resource::Memlock, LOCKED_BYTES)?;
    }
    Ok(())
}

/// At most so much, and not more than there is.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let limit = limit.min(getrlimit(resource).maximum.unwrap_or(u64::MAX));
    set(resource, limit, limit)
}

fn set(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    // u64::MAX is RLIM_INFINITY.
    let value = |limit| (limit != u64::MAX).then_some(limit);
    Ok(setrlimit(resource, Rlimit { current: value(current), maximum: value(maximum) })?)
}
