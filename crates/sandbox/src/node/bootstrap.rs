//! Starting the spawner: this program, executed again with nothing of the node in it.
//!
//! Executed again and not just forked: the memory of a fork keeps the node's environment, and the first process
//! of each sandbox, which lives as long as the tool server and runs under the same user, is a copy of it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::spawner::Spawner;
use crate::error::SpawnError;
use crate::layer::{LayerName, Layers};
use crate::limits::{HIDDEN_PATHS_MAX, MESSAGE_BYTES_MAX, START_TIMEOUT, STOP_TIMEOUT};
use crate::wire::{Hello, Notice, Request, pair, receive, send};

/// The argument by which this program knows that it is to be the spawner.
const HIDDEN_ARGUMENT: &str = "__ringfence_spawner";

/// What is executed as the spawner.
#[derive(Clone, Debug)]
pub struct SpawnerProgram {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A spawner that has answered, not yet bound to an async runtime.
#[derive(Debug)]
pub struct SpawnerBootstrap {
    pub(crate) link: Link,
    layers: Layers,
    run_layers: Layers,
}

/// The spawner's process and the socket to it. Dropped, it ends the spawner and every child.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: OwnedFd,
    process: std::process::Child,
}

/// Becomes the spawner, and never returns, if this process was started to be one.
///
/// To be called first in `main`, before any thread is started and any argument is read.
pub fn become_spawner_if_asked() {
    if std::env::args_os().last().is_some_and(|argument| argument == HIDDEN_ARGUMENT) {
        crate::server::live();
    }
}

/// Starts the spawner, which hides `hidden` (absolute, existing; as a rule the node's data folder) from all
/// children, and waits until it has tried out what the machine gives.
///
/// Call it on the thread that lives as long as the node, as a rule before the async runtime starts: the spawner,
/// and all children with it, ends when the thread that started it ends.
///
/// # Errors
/// [`SpawnError::Start`], [`SpawnError::Unready`] or [`SpawnError::Invalid`].
pub fn start_spawner<P: AsRef<Path>>(
    program: &SpawnerProgram,
    hidden: &[P],
) -> Result<SpawnerBootstrap, SpawnError> {
    let hidden: Vec<PathBuf> = hidden.iter().map(|path| path.as_ref().to_owned()).collect();
    if let Some(path) = hidden.iter().find(|path| !path.is_absolute()) {
        return Err(SpawnError::Invalid(format!("the hidden path {} is not absolute", path.display())));
    }
    if hidden.len() > HIDDEN_PATHS_MAX {
        return Err(SpawnError::Invalid(format!(
            "{} hidden paths; at most {HIDDEN_PATHS_MAX}",
            hidden.len()
        )));
    }
    let mut link = Link::start(program).map_err(SpawnError::Start)?;
    let hello = Request::Hello(Hello { hidden, temporary: std::env::temp_dir() });
    match link.greet(&hello).map_err(SpawnError::Start)? {
        Notice::Ready { layers, boxed } => Ok(SpawnerBootstrap {
            link,
            layers: Layers::new(layers, LayerName::TOOL_SERVER),
            run_layers: match boxed {
                Ok(layers) => Layers::new(layers, LayerName::ALL),
                Err(why) => Layers::all_missing(&why),
            },
        }),
        Notice::Unready { text } => Err(SpawnError::Unready(text)),
        _ => Err(SpawnError::Unready("it answered something else than was asked".to_owned())),
    }
}

/// What this machine gives: one sandbox as of a tool server and one as of a run are set up, looked at, and ended. All
/// layers, of which those that are missing around a run alone say so.
///
/// # Errors
/// As [`start_spawner`].
pub fn probe(program: &SpawnerProgram) -> Result<Layers, SpawnError> {
    start_spawner::<&Path>(program, &[]).map(|bootstrap| bootstrap.layers.and(&bootstrap.run_layers))
}

// === impl SpawnerProgram ===

impl SpawnerProgram {
    /// This program itself; its `main` must begin with [`become_spawner_if_asked`].
    pub fn this() -> Self {
        // The link follows the file also when it has been replaced by a new version since.
        Self { path: PathBuf::from("/proc/self/exe"), arguments: Vec::new() }
    }

    /// Another program whose `main` begins with [`become_spawner_if_asked`].
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new() }
    }

    /// For tests: this test binary, where a `#[test] #[ignore]` of the given full name does nothing but call
    /// [`become_spawner_if_asked`].
    pub fn this_test(name: &str) -> Self {
        let arguments = ["--exact", name, "--ignored", "--nocapture", "--test-threads=1"];
        Self { arguments: arguments.map(OsString::from).into(), ..Self::this() }
    }
}

// === impl SpawnerBootstrap ===

impl SpawnerBootstrap {
    /// The layers that were found by setting up a tool server's sandbox with nothing in it.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The layers that were found by setting up one with a root and a network of its own; see [`Spawner::run_layers`].
    pub fn run_layers(&self) -> &Layers {
        &self.run_layers
    }

    /// Binds it to the async runtime that this is called in.
    ///
    /// # Errors
    /// What the runtime said to the socket.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with I/O enabled, as everything of Tokio does.
    pub fn into_async(self) -> io::Result<Spawner> {
        Spawner::new(self.link, self.layers, self.run_layers)
    }
}

// === impl Link ===

impl Link {
    fn start(program: &SpawnerProgram) -> io::Result<Self> {
        let (socket, theirs) = pair()?;
        let process = Command::new(&program.path)
            .arg0("ringfence-spawner")
            .args(&program.arguments)
            .arg(HIDDEN_ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { socket, process })
    }

    fn greet(&mut self, hello: &Request) -> io::Result<Notice> {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let answer = send(&self.socket, &hello.encode(), &[])
            .and_then(|()| self.await_answer())
            .and_then(|()| receive(&self.socket, &mut buffer));
        // How a peer that has ended shows depends on when it did.
        let ended = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        let packet = match answer {
            Err(error) if ended.contains(&error.kind()) => None,
            other => other?,
        };
        let Some(packet) = packet else {
            return Err(io::Error::other(
                "it ended without an answer; does `main` begin with become_spawner_if_asked?",
            ));
        };
        Notice::decode(&buffer[..packet.length]).map_err(io::Error::other)
    }

    fn await_answer(&self) -> io::Result<()> {
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        let timeout = Timespec { tv_sec: START_TIMEOUT.as_secs().cast_signed(), tv_nsec: 0 };
        match rustix::io::retry_on_intr(|| poll(&mut polled, Some(&timeout)))? {
            0 => Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")),
            _ => Ok(()),
        }
    }
}

/// Ends the spawner: by the end of the stream, so that it can clean up; after the bound by force, which ends its
/// children as surely.
impl Drop for Link {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let deadline = Instant::now() + STOP_TIMEOUT + Duration::from_millis(500);
        while Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The part of the node's environment that children get: nothing in it is secret. With a root of their own, the
/// node's PATH would name folders that are not there.
pub(super) fn base_environment(own_root: bool) -> Vec<(OsString, OsString)> {
    let path = std::env::var_os("PATH").filter(|_| !own_root);
    let usual = || OsStr::new("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").to_owned();
    let language = std::env::var_os("LANG").unwrap_or_else(|| OsStr::new("C.UTF-8").to_owned());
    vec![("PATH".into(), path.unwrap_or_else(usual)), ("LANG".into(), language)]
}
