//! The second process of a sandbox: the program itself.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, set_parent_process_death_signal, setsid};

use super::restricted::Cage;
use super::{Descriptors, Setup, limit, while_dumpable};
use crate::system::{Cloned, Namespaces, clone_process, exit_now, reset_signals};
use crate::wire::{Failure, Order, Step, pair, receive};

/// Starts the program and returns its process id once it runs, and in a cage that has one what hears who makes processes.
pub(super) fn start(
    setup: &Setup<'_>,
    descriptors: Descriptors,
    cage: Option<Cage>,
) -> Result<(Pid, Option<OwnedFd>), Failure> {
    let order = setup.order;
    let setup_failed = |error: io::Error| Failure::setup("starting the program", &error);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| setup_failed(error.into()))?;
    let gated = cage.as_ref().is_some_and(Cage::is_gated);
    let (ours, theirs) = gated.then(pair).transpose().map_err(setup_failed)?.unzip();
    match clone_process(Namespaces::NONE).map_err(setup_failed)? {
        Cloned::Child => {
            let (step, error) = become_program(setup, order, descriptors, cage, theirs.as_ref());
            tell(write, step, &error);
            exit_now(127)
        }
        Cloned::Parent(pid) => {
            drop((write, theirs));
            drop(descriptors);
            await_exec(read, order)?;
            let told = ours.and_then(|ours| receive(ours, &mut [0; 1]).ok().flatten());
            let listener = told.and_then(|mut packet| packet.descriptors.pop());
            if gated && listener.is_none() {
                let text = "starting the program: what hears of new processes was not handed over".to_owned();
                return Err(Failure { step: Step::Setup, errno: 0, text });
            }
            Ok((pid, listener))
        }
    }
}

/// Returns only when it failed.
fn become_program(
    setup: &Setup<'_>,
    order: &Order,
    descriptors: Descriptors,
    cage: Option<Cage>,
    channel: Option<&OwnedFd>,
) -> (Step, io::Error) {
    if cage.is_some() {
        // Before whoever looks after it. What cannot be set stays as it is, as for everybody on such a machine.
        let _ = while_dumpable(|| std::fs::write("/proc/self/oom_score_adj", "1000"));
    }
    if let Err(error) = detach().and_then(|()| limit::apply_to_program(setup)) {
        return (Step::Setup, error);
    }
    let (home, temporary) = match &order.root {
        Some(root) if cage.is_none() => (root.home.as_path(), Path::new("/tmp")),
        _ => (setup.home, setup.home),
    };
    let directory = order.directory.as_deref().unwrap_or(home);
    if let Err(error) = std::env::set_current_dir(directory) {
        return (Step::Directory, error);
    }
    let mut command = Command::new(&order.program);
    command.args(&order.arguments).env_clear().env("HOME", home).env("TMPDIR", temporary);
    command.envs(order.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::from(descriptors.input));
    command.stdout(Stdio::from(descriptors.output)).stderr(Stdio::from(descriptors.error));
    reset_signals();
    if let Some(Err(error)) = cage.map(|cage| cage.enter(setup, channel)) {
        return (Step::Setup, error);
    }
    // Every other descriptor of this process is closed on exec.
    let error = command.exec();
    let missing = error.kind() == io::ErrorKind::NotFound && exists(order);
    (if missing { Step::Interpreter } else { Step::Exec }, error)
}

/// Its own session, so that no terminal of the node is its own; and no life beyond its sandbox's first process.
fn detach() -> io::Result<()> {
    setsid()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

/// Whether the program is a file: then ENOENT was about what should interpret it.
fn exists(order: &Order) -> bool {
    if order.program.as_bytes().contains(&b'/') {
        return Path::new(&order.program).exists();
    }
    let path = order.environment.iter().rev().find(|(name, _)| name == "PATH");
    path.is_some_and(|(_, path)| {
        std::env::split_paths(path).any(|folder: PathBuf| folder.join(&order.program).is_file())
    })
}

fn tell(write: OwnedFd, step: Step, error: &io::Error) {
    let [a, b, c, d] = error.raw_os_error().unwrap_or(0).to_le_bytes();
    // If the first process has gone, so will this one.
    let _ = File::from(write).write_all(&[step as u8, a, b, c, d]);
}

/// The pipe closes without a word when exec succeeds.
fn await_exec(read: OwnedFd, order: &Order) -> Result<(), Failure> {
    let mut told = Vec::new();
    File::from(read)
        .take(5)
        .read_to_end(&mut told)
        .map_err(|error| Failure::setup("waiting for the program", &error))?;
    let [step, a, b, c, d] = told[..] else { return Ok(()) };
    let step = Step::from_code(step).unwrap_or(Step::Setup);
    let errno = i32::from_le_bytes([a, b, c, d]);
    let text = format!("{}: {}", order.program.display(), io::Error::from_raw_os_error(errno));
    Err(Failure { step, errno, text })
}
