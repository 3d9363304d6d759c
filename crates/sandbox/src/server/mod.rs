//! The spawner: a small process with one thread that starts children, watches them and tells the node.

mod children;
pub(crate) mod empty;
mod homes;
mod launch;
mod measure;
mod plan;
mod rest;
mod watch;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, set_child_subreaper, set_parent_process_death_signal,
    setrlimit, setsid,
};

use self::children::{Children, Telling};
use self::launch::{Launcher, watch_mounts};
use self::watch::{Watch, Woken};
use crate::harden::harden_process;
use crate::limits::{CHILDREN_MAX, MESSAGE_BYTES_MAX};
use crate::system;
use crate::wire::{Failure, Notice, Order, Request, receive, send_or_without, send_surely};

/// The life of the spawner, whose standard input is the socket to the node. It never returns.
pub(crate) fn live() -> ! {
    let code = match begin() {
        Ok(()) => 0,
        Err(error) => {
            // Standard error is the node's: the one place where this can still be read.
            eprintln!("ringfence spawner: {error}");
            1
        }
    };
    system::exit_now(code)
}

fn begin() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    harden_process()?;
    system::disregard_requests_to_end();
    // Out of reach of the node's terminal; it fails only for the leader of a group, which has been started by hand.
    let _ = setsid();
    // What a first process leaves that was killed comes here, to be ended.
    let _ = set_child_subreaper(Pid::from_raw(1));
    system::close_all_but(&[0, 1, 2])?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::thread::set_name(c"ringfence-spawn")?;
    let open_files = raise_open_files();
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let Some(Request::Hello(hello)) = next_request(&socket, &mut buffer)?.map(|(request, _)| request) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no greeting from a node; start `ringfence up` instead",
        ));
    };
    let launcher = match Launcher::new(hello, open_files) {
        Ok(launcher) => launcher,
        Err(text) => return notify(&socket, &Notice::Unready { text }),
    };
    let ready = Notice::Ready { layers: launcher.layers().to_vec(), boxed: launcher.boxed().clone() };
    notify(&socket, &ready)?;
    // Where it cannot be watched, nothing is made ahead that would have to know.
    let (watch, mounts) = (Watch::new(&socket)?, watch_mounts().ok());
    mounts.as_ref().map(|mounts| watch.add_mounts(mounts)).transpose()?;
    let children = Children::new(watch);
    Server { socket, launcher, children, buffer, boxed: false, _mounts: mounts }.serve()
}

struct Server {
    socket: OwnedFd,
    launcher: Launcher,
    children: Children,
    buffer: Vec<u8>,
    /// Whether there has been a child in a root of its own, so that there may be more.
    boxed: bool,
    /// Watched.
    _mounts: Option<File>,
}

// === impl Server ===

impl Server {
    fn serve(mut self) -> io::Result<()> {
        let outcome = self.serve_all();
        self.children.end_all(self.launcher.ready_process());
        self.launcher.clean_up();
        outcome
    }

    fn serve_all(&mut self) -> io::Result<()> {
        loop {
            let Woken { asked, remounted, children } = self.children.wait()?;
            if remounted {
                self.launcher.forget_ready();
            }
            if asked && !self.answer()? {
                return Ok(());
            }
            for Telling { notice, descriptors } in
                self.children.progress(&children, self.launcher.ready_process())
            {
                let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
                // Without its sockets the node refuses the child, and ends it.
                send_or_without(&self.socket, &notice.encode(), &descriptors)?;
            }
            // Nobody waits for any of this.
            self.children.tidy();
            if self.boxed {
                self.launcher.prepare();
            }
        }
    }

    /// Does what the node asks; false when it has gone.
    fn answer(&mut self) -> io::Result<bool> {
        let Some((request, descriptors)) = next_request(&self.socket, &mut self.buffer)? else {
            return Ok(false);
        };
        match request {
            Request::Hello(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a second greeting")),
            Request::Execute { id } => self.children.execute(id),
            Request::Signal { id, kind } => self.children.signal(id, kind),
            Request::Measure { id } => {
                let stats = self.children.measure(id);
                notify(&self.socket, &Notice::Measured { id, stats })?;
            }
            Request::Spawn { id, order } => match self.launch(id, &order, descriptors) {
                Ok(()) => {}
                Err(failure) => notify(&self.socket, &Notice::Failed { id, failure })?,
            },
        }
        Ok(true)
    }

    fn launch(&mut self, id: u64, order: &Order, descriptors: Vec<OwnedFd>) -> Result<(), Failure> {
        // The node counts too, and refuses before it asks.
        if self.children.count() >= CHILDREN_MAX {
            return Err(Failure::setup(
                "starting one more child",
                &io::Error::from(io::ErrorKind::QuotaExceeded),
            ));
        }
        self.boxed |= order.root.is_some();
        let child = self.launcher.launch(id, order, descriptors)?;
        self.children.add(id, child).map_err(|error| Failure::setup("watching the sandbox", &error))
    }
}

fn next_request(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    let packet = match receive(socket, buffer) {
        // A node that died with our notices unread resets the connection.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        other => other?,
    };
    let Some(packet) = packet else { return Ok(None) };
    let request = Request::decode(&buffer[..packet.length]).map_err(io::Error::other)?;
    Ok(Some((request, packet.descriptors)))
}

/// Tells the node. Blocks while the node is behind: its reader does nothing but read.
fn notify(socket: &OwnedFd, notice: &Notice) -> io::Result<()> {
    send_surely(socket, &notice.encode())
}

/// As many as may be; returns the soft limit there was, which children get back. Two a child are open, and many more of
/// the user's may be on their way over sockets, of which the kernel allows as many as this.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let before = limit.current.unwrap_or(u64::MAX);
    // Where it cannot be raised, launching fails with a clear error at the limit there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    before
}
