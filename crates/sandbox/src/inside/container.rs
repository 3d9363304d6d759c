//! A container of an OCI runtime in the box: created when the box is in place, started when its program may run.
//!
//! `create` leaves one process, which waits right before the program, and which comes to the first process of the box
//! when the runtime has gone; `start` lets it go on. What the runtime is ordered to do is then read from the kernel.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, set_parent_process_death_signal, setsid, waitpid};

use super::found::Found;
use super::tree::{self, Around};
use super::{Descriptors, Setup, capabilities, limit, seccomp};
use crate::layer::LayerName;
use crate::limits::{MEASURE_PATIENCE, RUNTIME_LOG_BYTES_MAX};
use crate::oci::{self, Kind, Runtime};
use crate::root::Root;
use crate::system::{Cloned, Namespaces, clone_process, exit_now, reset_signals};
use crate::wire::{Failure, Step};

/// A container whose program waits.
pub(super) struct Container {
    kind: Kind,
    process: Pid,
}

/// What the kernel says of a process: proc_pid_status(5).
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    no_new_privileges: bool,
    /// Filters of system calls, those of the box included.
    filters: u64,
    capabilities: bool,
}

/// Makes the box around a container and the container in it; its volumes.
pub(super) fn close(
    setup: &Setup<'_>,
    root: &Root,
    runtime: &Runtime,
    descriptors: &Descriptors,
    found: &mut Found,
) -> Result<(Vec<OwnedFd>, Container), Failure> {
    needs(setup)?;
    let Around { volumes, calls } = tree::enter_around(setup, root, runtime, found)?;
    limit::apply_around(setup, runtime.kind.tasks())
        .map_err(|error| Failure::setup("setting limits", &error))?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| Failure::setup("setting no_new_privs", &error.into()))?;
    let refused = seccomp::surround(setup.filters)
        .map_err(|why| Failure::layer(LayerName::Seccomp, format!("around the runtime: {why}")))?;
    create(runtime.kind, descriptors)?;
    let process = process()?;
    say(&Container { kind: runtime.kind, process }, runtime, (calls, refused), found);
    Ok((volumes, Container { kind: runtime.kind, process }))
}

/// Lets the program start; returns its process id once it runs.
pub(super) fn start(container: &Container, descriptors: Descriptors) -> Result<Pid, Failure> {
    drop(descriptors);
    let nulls = nulls().map_err(|error| Failure::setup("opening /dev/null", &error))?;
    command(container.kind, &["start", oci::CONTAINER], nulls)?;
    confirm(container)?;
    // From here on this process only waits, signals and buries.
    capabilities::drop_all(&mut Found::new(&[]));
    Ok(container.process)
}

/// Has a runtime that is a kernel hold its program, or let it go on.
pub(super) fn hold(kind: Kind, stop: bool) {
    let Ok([input, output, error]) = nulls() else { return };
    // One that has just ended holds nothing.
    let _ = command(kind, &[if stop { "pause" } else { "resume" }, oci::CONTAINER], [input, output, error]);
}

// === impl Container ===

impl Container {
    /// The runtime, if it is one that answers system calls itself.
    pub(super) fn kernel(&self) -> Option<Kind> {
        self.kind.is_kernel().then_some(self.kind)
    }
}

fn nulls() -> io::Result<[OwnedFd; 3]> {
    Ok([null()?, null()?, null()?])
}

fn null() -> io::Result<OwnedFd> {
    fs::File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from)
}

/// A runtime acts as the root of the box, over which it must have every right, and over nothing else.
fn needs(setup: &Setup<'_>) -> Result<(), Failure> {
    let needed = [
        (Namespaces::USER, LayerName::UserNamespace),
        (Namespaces::PROCESS, LayerName::ProcessNamespace),
        (Namespaces::MOUNT, LayerName::MountNamespace),
    ];
    match needed.into_iter().find(|(namespace, _)| !setup.namespaces.has(*namespace)) {
        Some((_, name)) => Err(Failure::layer(
            name,
            "an OCI runtime runs in a box that takes it, and this machine refuses it",
        )),
        None => Ok(()),
    }
}

fn create(kind: Kind, descriptors: &Descriptors) -> Result<(), Failure> {
    let copy = |descriptor: &OwnedFd| {
        descriptor.try_clone().map_err(|error| Failure::setup("copying the pipes", &error))
    };
    let stdio = [copy(&descriptors.input)?, copy(&descriptors.output)?, copy(&descriptors.error)?];
    let bundle = format!("--bundle={}", oci::BUNDLE);
    let process = format!("--pid-file={}", oci::PROCESS);
    let mut arguments = vec!["create", &bundle, &process];
    // The box refuses key rings; gVisor has its own.
    arguments.extend((!kind.is_kernel()).then_some("--no-new-keyring"));
    arguments.push(oci::CONTAINER);
    command(kind, &arguments, stdio)
}

/// Runs a command of the runtime to its end.
fn command(kind: Kind, arguments: &[&str], stdio: [OwnedFd; 3]) -> Result<(), Failure> {
    let what = || format!("running {} {}", kind.as_str(), arguments.first().unwrap_or(&""));
    match clone_process(Namespaces::NONE).map_err(|error| Failure::setup(what(), &error))? {
        Cloned::Child => {
            become_runtime(kind, arguments, stdio);
            exit_now(127)
        }
        Cloned::Parent(pid) => {
            drop(stdio);
            let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
            let status = ended.ok().flatten().and_then(|(_, status)| status.exit_status());
            if status == Some(0) { Ok(()) } else { Err(refused(kind, arguments, status)) }
        }
    }
}

/// Returns only when it failed.
fn become_runtime(kind: Kind, arguments: &[&str], stdio: [OwnedFd; 3]) {
    if setsid().is_err() || set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        return;
    }
    let [input, output, error] = stdio;
    let mut command = Command::new(oci::PROGRAM);
    command.args(kind.options()).args(arguments).env_clear().current_dir("/");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("XDG_RUNTIME_DIR", oci::STATE);
    command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(error));
    reset_signals();
    let _ = command.exec();
}

/// Why the runtime refused: what the program lacks, or its own last words.
fn refused(kind: Kind, arguments: &[&str], status: Option<i32>) -> Failure {
    let log = fs::read(oci::LOG).unwrap_or_default();
    let log = String::from_utf8_lossy(&log[log.len().saturating_sub(RUNTIME_LOG_BYTES_MAX)..]).into_owned();
    let said = |what: &str| log.contains(what);
    let program = |errno| Failure { step: Step::Exec, errno, text: kind.as_str().to_owned() };
    // As runc, crun and runsc say it.
    let missing = ["executable file not found", "executable file `", "error finding executable"];
    if missing.into_iter().any(said) {
        return program(libc::ENOENT);
    }
    if said("exec:") && said("permission denied") {
        return program(libc::EACCES);
    }
    let last = log.lines().next_back().unwrap_or_default();
    let command = arguments.first().unwrap_or(&"");
    let how = status.map_or_else(|| "was ended".to_owned(), |code| format!("ended with status {code}"));
    Failure { step: Step::Setup, errno: 0, text: format!("{} {command} {how}: {last}", kind.as_str()) }
}

fn process() -> Result<Pid, Failure> {
    let text = fs::read_to_string(oci::PROCESS)
        .map_err(|error| Failure::setup("reading the container's process", &error))?;
    text.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(|| Failure {
        step: Step::Setup,
        errno: 0,
        text: "the runtime named no process".to_owned(),
    })
}

/// Says what the runtime provides; what it does only when the program starts is looked at then.
fn say(
    container: &Container,
    runtime: &Runtime,
    (calls, refused): (Option<usize>, usize),
    found: &mut Found,
) {
    let by = runtime.describe();
    for name in [LayerName::PrivateDevices, LayerName::PrivateProc, LayerName::ReadOnlyKernel] {
        found.in_force(name, format!("by {by}"));
    }
    found.in_force(LayerName::NoNewPrivileges, "");
    let status = Status::of(container.process);
    if container.kind.is_kernel() {
        found.in_force(LayerName::NoCapabilities, format!("by {by}, which is a kernel of its own"));
        let how =
            format!("system calls are answered by {by}, behind its own filters; {refused} refused to it");
        found.in_force(LayerName::Seccomp, how);
    } else {
        let none = status.as_ref().is_some_and(|status| !status.capabilities);
        let outcome = if none { Ok(format!("by {by}")) } else { Err(format!("{by} left some")) };
        found.record(LayerName::NoCapabilities, outcome);
        let calls = calls.unwrap_or_default();
        found.in_force(
            LayerName::Seccomp,
            format!("{calls} system calls allowed, by {by}; {refused} refused to it"),
        );
    }
    found.missing(LayerName::Landlock, format!("{by} knows none, and mounts, which Landlock forbids"));
}

/// Looks whether the program runs behind what was ordered; nothing runs on that does not.
fn confirm(container: &Container) -> Result<(), Failure> {
    let deadline = Instant::now() + MEASURE_PATIENCE;
    let around = Status::read(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let around = around.map_or(u64::MAX, |own| own.filters);
    loop {
        // It cannot have been buried: only this process does that. Without a count (Linux before 5.10) nothing is shown.
        let status = Status::of(container.process);
        match status {
            Some(Status { filters, no_new_privileges, capabilities }) if filters > around => {
                // The runtime's own kernel has rights over the box; it runs no program.
                let bare = container.kind.is_kernel() || !capabilities;
                return match (bare, no_new_privileges) {
                    (true, true) => Ok(()),
                    (false, _) => Err(lacks(LayerName::NoCapabilities)),
                    (_, false) => Err(lacks(LayerName::NoNewPrivileges)),
                };
            }
            _ if Instant::now() > deadline => return Err(lacks(LayerName::Seccomp)),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn lacks(name: LayerName) -> Failure {
    Failure::layer(name, "the runtime was ordered to set it and has not")
}

// === impl Status ===

impl Status {
    fn of(process: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
        Self::read(&text)
    }

    fn read(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
        let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
        let sets = sets.into_iter().map(set).collect::<Option<Vec<u64>>>()?;
        Some(Self {
            no_new_privileges: field("NoNewPrivs:")? == "1",
            filters: field("Seccomp_filters:")?.parse().ok()?,
            capabilities: sets.iter().any(|set| *set != 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    const NONE: &str = "CapInh:\t0\nCapPrm:\t0\nCapEff:\t0\nCapBnd:\t0\nCapAmb:\t0\n";

    #[test]
    fn what_the_kernel_says_of_a_process_is_read() {
        let read = |rest: &str| Status::read(&format!("Name:\tsh\n{NONE}{rest}"));
        let whole = Status { no_new_privileges: true, filters: 3, capabilities: false };
        assert_eq!(read("NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"), Some(whole));
        let bare = Status { no_new_privileges: false, filters: 0, capabilities: false };
        assert_eq!(read("NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n"), Some(bare));
        let some = NONE.replace("CapBnd:\t0", "CapBnd:\t400");
        let some = Status::read(&format!("{some}NoNewPrivs:\t1\nSeccomp_filters:\t2\n"));
        assert!(some.is_some_and(|status| status.capabilities));
        assert_eq!(Status::read("Name:\tsh\n"), None);
    }
}
