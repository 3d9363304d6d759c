//! Resource limits of a child: getrlimit(2).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Setup;
use crate::limits::{
    CORE_BYTES, FILE_BYTES_DEFAULT, LOCKED_BYTES, OPEN_FILES_DEFAULT, PROCESSES_DEFAULT, SIGNALS_PENDING,
};

/// No core files; processes and the size of files as ordered. A child with a root of its own has a bound on each,
/// ordered or not.
pub(super) fn apply(setup: &Setup<'_>) -> io::Result<()> {
    lower(Resource::Core, CORE_BYTES)?;
    let limits = setup.order.limits;
    let boxed = setup.order.root.is_some();
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

/// Around an OCI runtime, which itself needs some tasks: the program's own bounds are the runtime's to set.
pub(super) fn apply_around(setup: &Setup<'_>, tasks: u64) -> io::Result<()> {
    lower(Resource::Core, CORE_BYTES)?;
    lower(Resource::Nproc, setup.order.limits.processes.unwrap_or(PROCESSES_DEFAULT).saturating_add(tasks))
}

/// What bounds the program of a container, as the runtime specification names it: soft, then hard.
pub(super) fn of_container(setup: &Setup<'_>) -> Vec<(&'static str, u64, u64)> {
    let limits = setup.order.limits;
    let (soft, hard) = open_files(setup);
    let within = |resource, most: u64| most.min(getrlimit(resource).maximum.unwrap_or(u64::MAX));
    let processes = within(Resource::Nproc, limits.processes.unwrap_or(PROCESSES_DEFAULT));
    let file = within(Resource::Fsize, limits.file_bytes.unwrap_or(FILE_BYTES_DEFAULT));
    let locked = within(Resource::Memlock, LOCKED_BYTES);
    let pending = within(Resource::Sigpending, SIGNALS_PENDING);
    let core = within(Resource::Core, CORE_BYTES);
    vec![
        ("RLIMIT_CORE", core, core),
        ("RLIMIT_FSIZE", file, file),
        ("RLIMIT_MEMLOCK", locked, locked),
        ("RLIMIT_NOFILE", soft, hard),
        ("RLIMIT_NPROC", processes, processes),
        ("RLIMIT_SIGPENDING", pending, pending),
    ]
}

/// What bounds the program alone, and not the first process. The kernel lets nobody send descriptors who may open fewer
/// files than the whole user has on the way, and the first process has some to send; nor does it pass on all of a signal
/// to whoever may have fewer waiting, and the first process is told what to do by those.
pub(super) fn apply_to_program(setup: &Setup<'_>) -> io::Result<()> {
    if setup.order.root.is_some() {
        lower(Resource::Sigpending, SIGNALS_PENDING)?;
    }
    bound_open_files(setup)
}

fn bound_open_files(setup: &Setup<'_>) -> io::Result<()> {
    let (soft, hard) = open_files(setup);
    set(Resource::Nofile, soft, hard)
}

/// Soft, then hard.
fn open_files(setup: &Setup<'_>) -> (u64, u64) {
    let maximum = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let most = match setup.order.limits.open_files {
        Some(files) => return (files.min(maximum), files.min(maximum)),
        None if setup.order.root.is_some() => OPEN_FILES_DEFAULT.min(maximum / 2),
        None => maximum,
    };
    // The spawner raised its own soft limit; programs that use select() rely on the usual one.
    (setup.open_files.min(most), most)
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
