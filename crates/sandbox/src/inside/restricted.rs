//! A child without namespaces: Landlock says which files it sees, seccomp what it asks of the kernel, and it has no network.
//!
//! Both are put in place in the program's own process and not in the first one: what is outside of a Landlock domain cannot
//! be signalled from inside, so that the first process, which ends all that the program started, cannot be ended by it.
//! Started by root, the program has a user of its own, that nothing on the machine belongs to.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Gid, Signal, Uid, WaitOptions, geteuid, getpid, set_parent_process_death_signal, waitpid,
};
use rustix::thread::{capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::found::Found;
use super::{Setup, filesystem, gate, limit, seccomp, tree};
use crate::layer::LayerName;
use crate::root::{Kind, Root};
use crate::system::{Cloned, Namespaces, clone_process, exit_now};
use crate::wire::{Failure, Step, send};

/// What is asked of the kernel at least: since this one, nothing outside can be signalled.
const LEAST: ABI = ABI::V6;

/// Devices that hold nothing of the machine.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Read by libraries of every program.
const READ: [&str; 17] = [
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/cert.pem",
    // Node does not start without it.
    "/etc/ssl/openssl.cnf",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu/online",
];

/// What is to be put around the program.
pub(super) struct Cage {
    rules: RulesetCreated,
    /// Whom the program is, where the node is root.
    user: Option<u32>,
    /// Whether who makes a process asks first.
    gated: bool,
}

/// Prepares everything, and tries it out in a process that runs nothing.
pub(super) fn close(setup: &Setup<'_>, root: &Root, found: &mut Found) -> Result<Cage, Failure> {
    let missing = |why: String| Failure::layer(LayerName::Landlock, why);
    limit::apply(setup).map_err(|error| Failure::setup("setting limits", &error))?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| Failure::setup("setting no_new_privs", &error.into()))?;
    let user = geteuid().is_root().then(own_user);
    if let Some(user) = user {
        chown(setup.home, Some(user), Some(user))
            .map_err(|error| Failure::setup("giving away the home", &error))?;
    }
    let shown = Shown::take(root)?;
    let rules = rules(setup, &shown).map_err(missing)?;
    let mut cage = Cage { rules, user, gated: true };
    if cage.try_out(setup, root)? == Trial::Ungated {
        cage.gated = false;
        // As it will be.
        cage.try_out(setup, root)?;
    }
    say(&cage, found);
    Ok(cage)
}

// === impl Cage ===

impl Cage {
    /// Whom the program is, where the node is root.
    pub(super) fn user(&self) -> Option<u32> {
        self.user
    }

    /// Whether who makes a process asks first.
    pub(super) const fn is_gated(&self) -> bool {
        self.gated
    }

    /// Puts everything around this process, which becomes the program. What hears who makes a process goes to whoever has the
    /// channel.
    pub(super) fn enter(self, setup: &Setup<'_>, channel: Option<&OwnedFd>) -> io::Result<()> {
        let failed = |what: &str, why: String| io::Error::other(format!("{what}: {why}"));
        if let Some(user) = self.user {
            // Groups first, while there is the right to change them.
            set_thread_groups(&[])?;
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
            // The kernel forgets it with the user.
            set_parent_process_death_signal(Some(Signal::KILL))?;
        }
        let mut found = Found::new(&[]);
        super::capabilities::drop_all(&mut found);
        self.rules.restrict_self().map_err(|error| failed("Landlock", error.to_string()))?;
        // Before the other, which lets nobody listen.
        let listener = self.gated.then(|| gate::install(setup.filters)).transpose().map_err(|error| {
            io::Error::new(io::ErrorKind::ResourceBusy, format!("a gate to new processes: {error}"))
        })?;
        seccomp::restrict(setup.filters, self.user.is_none()).map_err(|why| failed("seccomp", why))?;
        match (listener, channel) {
            (Some(listener), Some(channel)) => send(channel, &[1], &[listener.as_fd()]),
            _ => Ok(()),
        }
    }

    /// Enters it in a process that looks whether all of it holds.
    fn try_out(&self, setup: &Setup<'_>, root: &Root) -> Result<Trial, Failure> {
        let failed = |error: io::Error| Failure::setup("trying out the sandbox", &error);
        let rules = self.rules.try_clone().map_err(failed)?;
        match clone_process(Namespaces::NONE)
            .map_err(|error| too_many(&error, self.user).unwrap_or_else(|| failed(error)))?
        {
            Cloned::Child => {
                let cage = Cage { rules, user: self.user, gated: self.gated };
                let held = match cage.enter(setup, None) {
                    Ok(()) => Held::look(self, setup, root),
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Held::Ungated,
                    Err(_) => Held::NotEntered,
                };
                exit_now(held as i32)
            }
            Cloned::Parent(pid) => {
                let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                let code = ended.ok().flatten().and_then(|(_, status)| status.exit_status());
                Held::judge(code, self.user)
            }
        }
    }
}

/// What a process finds that has entered it.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Held {
    All = 0,
    NotEntered = 3,
    Rights = 4,
    Files = 5,
    Network = 6,
    Unreadable = 7,
    Ungated = 8,
}

/// What came of trying it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Holds,
    /// All but the gate, which the kernel does not give.
    Ungated,
}

impl Held {
    fn look(cage: &Cage, setup: &Setup<'_>, root: &Root) -> Self {
        let none = rustix::thread::CapabilitySet::empty();
        let bare = capabilities(None).is_ok_and(|now| now.effective == none && now.permitted == none);
        if !bare || (cage.user.is_some() && geteuid().is_root()) {
            return Self::Rights;
        }
        let hidden = setup.hidden.iter().map(PathBuf::as_path);
        if hidden.chain([Path::new("/"), Path::new("/proc")]).any(|path| std::fs::read_dir(path).is_ok()) {
            return Self::Files;
        }
        if std::net::UdpSocket::bind("127.0.0.1:0").is_ok()
            || std::os::unix::net::UnixDatagram::unbound().is_ok()
        {
            return Self::Network;
        }
        let shown = root.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::ReadOnly(source) | Kind::Writable(source) => Some(source),
            Kind::Scratch(_) | Kind::File(_) => None,
        });
        let unreadable = |path: &PathBuf| File::open(path).is_err();
        if shown.into_iter().any(unreadable) { Self::Unreadable } else { Self::All }
    }

    fn judge(code: Option<i32>, user: Option<u32>) -> Result<Trial, Failure> {
        let lacks = |name, why: &str| Err(Failure::layer(name, why));
        match code {
            Some(0) => Ok(Trial::Holds),
            Some(8) => Ok(Trial::Ungated),
            Some(4) => lacks(LayerName::NoCapabilities, "some rights remained when it was tried out"),
            Some(5) => lacks(LayerName::Landlock, "files outside could be listed when it was tried out"),
            Some(6) => lacks(LayerName::Seccomp, "a socket could be made when it was tried out"),
            Some(7) => {
                let who = user.map_or_else(String::new, |_| {
                    "; started by root, the program is a user of its own: let others read them (chmod o+rX), \
                     and pass through the folders above"
                        .to_owned()
                });
                let text = format!("the files that are to be shown cannot be read inside{who}");
                Err(Failure { step: Step::Setup, errno: 0, text })
            }
            _ => lacks(LayerName::Landlock, "the kernel refused Landlock, seccomp or the program's own user"),
        }
    }
}

/// Something of the machine that is to be shown, held as it was named: what is put in its place later is something else.
struct Shown<'a> {
    source: &'a Path,
    held: OwnedFd,
    write: bool,
}

// === impl Shown ===

impl<'a> Shown<'a> {
    fn take(root: &'a Root) -> Result<Vec<Self>, Failure> {
        let listed = root.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::ReadOnly(source) => Some((source, false)),
            Kind::Writable(source) => Some((source, true)),
            Kind::Scratch(_) | Kind::File(_) => None,
        });
        listed.map(|(source, write)| Ok(Self { source, held: tree::held(source)?, write })).collect()
    }
}

/// The bound on processes is one of the user, whom the program may share with others.
fn too_many(error: &io::Error, user: Option<u32>) -> Option<Failure> {
    if error.raw_os_error() != Some(libc::EAGAIN) || user.is_some() {
        return None;
    }
    let text = "trying out the sandbox: the node's user has as many processes and threads as the program may have; with this \
                driver they count together: raise the bound (limits: { processes: … }), or give the node a user of its own";
    Some(Failure { step: Step::Setup, errno: libc::EAGAIN, text: text.to_owned() })
}

/// A user for one child, by the process that looks after it: 0x7e000000 and up is nobody's.
fn own_user() -> u32 {
    0x7e00_0000 | (getpid().as_raw_nonzero().get().unsigned_abs() & 0x00ff_ffff)
}

fn rules(setup: &Setup<'_>, shown: &[Shown<'_>]) -> Result<RulesetCreated, String> {
    let text = |error: &dyn std::fmt::Display| {
        format!(
            "{error}; this driver takes Landlock of ABI 6 or newer (Linux 6.12), which keeps signals inside"
        )
    };
    let newest = filesystem::NEWEST;
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))
        .and_then(|rules| rules.scope(Scope::from_all(LEAST)))
        .map(|rules| rules.set_compatibility(CompatLevel::BestEffort))
        .and_then(|rules| rules.handle_access(AccessFs::from_all(newest)))
        .and_then(|rules| rules.scope(Scope::from_all(newest)))
        .and_then(Ruleset::create)
        .map_err(|error| text(&error))?;
    let all = AccessFs::from_all(newest) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let read = AccessFs::from_read(newest);
    let mut wanted: Vec<(&Path, BitFlags<AccessFs>)> = Vec::new();
    wanted.extend(setup.etc.folders().map(|path| (path, read)));
    wanted.extend(READ.map(|path| (Path::new(path), AccessFs::ReadFile | AccessFs::ReadDir)));
    wanted.extend(DEVICES.map(|path| (Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile)));
    wanted.push((setup.home, all));
    // Landlock denies nothing below what it allows.
    let within = |hidden: &&PathBuf| {
        let shown = shown.iter().map(|shown| shown.source);
        wanted.iter().map(|(path, _)| *path).chain(shown).any(|path| hidden.starts_with(path))
    };
    if let Some(hidden) = setup.hidden.iter().find(within) {
        return Err(format!("{} is hidden, and lies in what is to be shown", hidden.display()));
    }
    let rules = wanted.into_iter().try_fold(rules, |rules, (path, rights)| allow(rules, path, rights))?;
    shown.iter().try_fold(rules, |rules, shown| {
        let file = shown.held.try_clone().map_err(|error| format!("{}: {error}", shown.source.display()))?;
        allow_held(rules, shown.source, file.into(), if shown.write { all } else { read })
    })
}

/// Allows it on a path and all below it; one that is not there needs no rule.
fn allow(rules: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file: File = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(rustix::io::Errno::NOENT) => return Ok(rules),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    allow_held(rules, path, file, rights)
}

fn allow_held(
    rules: RulesetCreated,
    path: &Path,
    file: File,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    let folder = file.metadata().is_ok_and(|metadata| metadata.is_dir());
    let rights = if folder { rights } else { rights & AccessFs::from_file(filesystem::NEWEST) };
    rules.add_rule(PathBeneath::new(file, rights)).map_err(|error| format!("{}: {error}", path.display()))
}

fn say(cage: &Cage, found: &mut Found) {
    for name in [
        LayerName::MountNamespace,
        LayerName::IpcNamespace,
        LayerName::HostNamespace,
        LayerName::CgroupNamespace,
        LayerName::TimeNamespace,
    ] {
        found.missing(name, "this driver makes no namespace");
    }
    found.missing(
        LayerName::ProcessNamespace,
        "this driver makes none: what is left running is looked for and killed, and other processes are seen to exist",
    );
    found.missing(
        LayerName::NetworkNamespace,
        "this driver makes none, and needs none: there are no sockets but pairs of a program's own",
    );
    if cage.gated {
        found.in_force(
            LayerName::SureEnd,
            "who makes a process asks first, and is refused at the end and waits during looks",
        );
    } else {
        found.missing(
            LayerName::SureEnd,
            "the kernel lets nobody hear of new processes here, as under a supervisor of system calls: who makes them fast enough \
             can outlast the looks at its home, and its end",
        );
    }
    found.missing(LayerName::TransparentProxy, "there is no network at all");
    match cage.user {
        Some(user) => found.missing(LayerName::UserNamespace, format!("a user of its own instead, {user}")),
        None => found.missing(
            LayerName::UserNamespace,
            "the program is the node's user; owners, modes and times of files cannot be changed",
        ),
    }
    found.missing(
        LayerName::PrivateRoot,
        "the machine's root: Landlock lets programs, libraries and what is listed be read, and of the rest sees that it exists",
    );
    found.missing(
        LayerName::PrivateProc,
        "the machine's /proc, of which nothing can be opened but two files on the machine",
    );
    found.missing(
        LayerName::PrivateHome,
        "a folder of its own on the machine's disk, removed at the end: its size is looked at every second, and not bound by the kernel",
    );
    found.in_force(LayerName::ReadOnlyKernel, "by Landlock");
    found.in_force(LayerName::PrivateDevices, "by Landlock: null, zero, full, random and urandom alone");
    found.in_force(LayerName::HiddenPaths, "by Landlock");
    found.in_force(LayerName::NoNewPrivileges, "");
    found.in_force(LayerName::NoCapabilities, "");
    found.in_force(LayerName::Landlock, "signals and abstract sockets kept inside");
    found.in_force(
        LayerName::Seccomp,
        format!(
            "{} system calls allowed, none of them a way to a network",
            seccomp::restricted_count(cage.user.is_none())
        ),
    );
}
