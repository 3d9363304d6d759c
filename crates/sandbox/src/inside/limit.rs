//! Resource limits of a child: getrlimit(2).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Setup;

/// No core files; open files and processes as ordered.
pub(super) fn apply(setup: &Setup<'_>) -> io::Result<()> {
    set(Resource::Core, 0, 0)?;
    let maximum = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limits = setup.order.map(|order| order.limits);
    match limits.and_then(|limits| limits.open_files) {
        Some(files) => set(Resource::Nofile, files.min(maximum), files.min(maximum))?,
        // The spawner raised its own soft limit; programs that use select() rely on the usual one.
        None => set(Resource::Nofile, setup.open_files.min(maximum), maximum)?,
    }
    if let Some(processes) = limits.and_then(|limits| limits.processes) {
        let processes = processes.min(getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX));
        set(Resource::Nproc, processes, processes)?;
    }
    Ok(())
}

fn set(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    // u64::MAX is RLIM_INFINITY.
    let value = |limit| (limit != u64::MAX).then_some(limit);
    Ok(setrlimit(resource, Rlimit { current: value(current), maximum: value(maximum) })?)
}
