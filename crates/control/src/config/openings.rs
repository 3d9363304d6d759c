//! Ways past the gateway in what a sandbox is shown: sockets and pipes with a path, on which somebody outside listens.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use ringfence_document::{Diagnostic, Place};
use ringfence_runs::Rootfs;
use ringfence_sandbox::DriverName;

use super::{Config, MountConfig, RunConfig, ServerConfig};
use crate::limits::{SHOWN_ENTRIES_LOOKED_AT_MAX, SHOWN_FOLDERS_LOOKED_INTO_MAX};

/// Where the services of a machine listen, whatever is there at the moment.
const SERVICES: [&str; 8] = [
    "/run",
    "/var/run",
    "/tmp",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/spool",
];

/// Of these everything below, too: it is made for them.
const OF_SERVICES: [&str; 2] = ["/run", "/var/run"];

/// Something of the machine that a sandbox shows.
struct Shown<'c> {
    source: &'c Path,
    place: Place,
    writable: bool,
    driver: DriverName,
}

/// What was found below a path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Openings {
    socket: Option<PathBuf>,
    pipe: Option<PathBuf>,
}

/// Says of everything that is shown whether somebody can be reached through it. Files change and the look is a bounded one, so
/// that nothing is said proves nothing.
pub(super) fn remarks(config: &Config, name: &str) -> Vec<Diagnostic> {
    let mut looked: HashMap<&Path, Openings> = HashMap::new();
    let mut found = Vec::new();
    for shown in config.workspaces.iter().flat_map(|workspace| {
        let runs = workspace.agents.iter().filter_map(|agent| agent.run.as_ref()).flat_map(of_run);
        runs.chain(workspace.servers.iter().flat_map(of_server))
    }) {
        let openings = looked.entry(shown.source).or_insert_with(|| Openings::below(shown.source));
        if let Some(message) = shown.remark(openings) {
            let hint = "name a folder in which nobody listens, and let the agent reach services through the gateway, as hosts or tools";
            found.push(Diagnostic::warning(name, shown.place, message).with_hint(hint));
        }
    }
    found
}

fn of_run(run: &RunConfig) -> impl Iterator<Item = Shown<'_>> {
    let root = match &run.rootfs {
        Rootfs::Folder(folder) => Some(folder),
        Rootfs::Machine | Rootfs::Image(_) => None,
    };
    let own = run.files.iter().chain(root);
    let own = own.map(|source| Shown { source, place: run.place, writable: false, driver: run.driver });
    own.chain(run.mounts.iter().map(|mount| Shown::of(mount, run.driver)))
}

fn of_server(server: &ServerConfig) -> impl Iterator<Item = Shown<'_>> {
    let mounts = server.sandbox().into_iter().flat_map(|sandbox| &sandbox.mounts);
    mounts.map(|mount| Shown::of(mount, DriverName::default()))
}

// === impl Shown ===

impl<'c> Shown<'c> {
    fn of(mount: &'c MountConfig, driver: DriverName) -> Self {
        Self { source: &mount.source, place: mount.place, writable: mount.writable, driver }
    }

    fn remark(&self, openings: &Openings) -> Option<String> {
        // Without a network a program can make no socket that could be connected.
        let socket = openings.socket.as_deref().filter(|_| self.driver.has_network());
        // What can only be read is not written to where Landlock stands in front of it.
        let pipe = openings.pipe.as_deref().filter(|_| self.writable || self.driver.is_oci());
        let all = [(socket, "socket"), (pipe, "pipe")];
        let seen = all.into_iter().find_map(|(path, what)| path.map(|path| (path, what)));
        let source = shown(self.source);
        let what = match seen {
            Some((path, what)) if path == self.source => format!("{source} is a {what}: who listens there"),
            Some((path, what)) => format!("{source} holds the {what} {}: who listens there", shown(path)),
            None if self.driver.has_network() => self.of_services()?,
            None => return None,
        };
        Some(format!("{what} is reached from inside past the gateway, undecided and on no record"))
    }

    /// What is said of places where services listen.
    fn of_services(&self) -> Option<String> {
        let source = shown(self.source);
        if let Some(held) = SERVICES.iter().find(|service| Path::new(service).starts_with(self.source)) {
            let what =
                if self.source == Path::new(held) { String::new() } else { format!(" holds {held}, which") };
            return Some(format!("{source}{what} is where services of the machine listen: who does"));
        }
        let is_below = OF_SERVICES.iter().any(|service| self.source.starts_with(service));
        is_below.then(|| format!("{source} is made for services of the machine: who listens there"))
    }
}

fn shown(path: &Path) -> String {
    crate::shown::line(&path.to_string_lossy())
}

// === impl Openings ===

impl Openings {
    /// Looks at a path and what is below it, the nearest first, as far as the bounds go. No link is followed.
    fn below(source: &Path) -> Self {
        let mut openings = Self::default();
        let Ok(itself) = fs::symlink_metadata(source) else { return openings };
        openings.note(itself.file_type(), source);
        let mut folders = VecDeque::from_iter(itself.is_dir().then(|| source.to_owned()));
        let mut entries = 0;
        let mut looked_into = 0;
        while let Some(folder) = folders.pop_front() {
            // What cannot be read here is not looked into; the node may be another user than whoever checks.
            let Ok(listed) = fs::read_dir(&folder) else { continue };
            looked_into += 1;
            for entry in listed.flatten() {
                entries += 1;
                if entries > SHOWN_ENTRIES_LOOKED_AT_MAX || openings.is_full() {
                    return openings;
                }
                let Ok(kind) = entry.file_type() else { continue };
                openings.note(kind, &entry.path());
                if kind.is_dir() && looked_into + folders.len() < SHOWN_FOLDERS_LOOKED_INTO_MAX {
                    folders.push_back(entry.path());
                }
            }
        }
        openings
    }

    fn note(&mut self, kind: FileType, path: &Path) {
        if kind.is_socket() {
            self.socket.get_or_insert_with(|| path.to_owned());
        } else if kind.is_fifo() {
            self.pipe.get_or_insert_with(|| path.to_owned());
        }
    }

    fn is_full(&self) -> bool {
        self.socket.is_some() && self.pipe.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_where_services_listen_are_known_with_what_holds_them() {
        for (source, expected) in [
            ("/run", "/run is where services"),
            ("/tmp", "/tmp is where services"),
            ("/", "/ holds /run, which is where services"),
            ("/var", "/var holds /var/run, which is"),
            ("/var/lib/docker", "/var/lib/docker is where"),
            ("/run/user/1000", "/run/user/1000 is made for services"),
            ("/tmp/papers", ""),
            ("/var/lib/docker/volumes/papers", ""),
            ("/runs", ""),
            ("/srv", ""),
        ] {
            let said = |driver| {
                let source = Path::new(source);
                let shown = Shown { source, place: Place::WHOLE, writable: false, driver };
                shown.remark(&Openings::default()).unwrap_or_default()
            };
            assert!(said(DriverName::Local).starts_with(expected), "{source}: {}", said(DriverName::Local));
            assert_eq!(said(DriverName::Local).is_empty(), expected.is_empty(), "{source}");
            assert_eq!(said(DriverName::Restricted), "", "{source}");
        }
    }

    fn pipe_in(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let at = folder.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }

    #[test]
    fn the_look_goes_so_deep_and_no_deeper() {
        for (folders, expected) in
            [(SHOWN_FOLDERS_LOOKED_INTO_MAX - 1, true), (SHOWN_FOLDERS_LOOKED_INTO_MAX, false)]
        {
            let folder = tempfile::tempdir().unwrap();
            // A link to its own folder leads nowhere.
            std::os::unix::fs::symlink(".", folder.path().join("again")).unwrap();
            pipe_in(&folder.path().join((0..folders).map(|_| "d").collect::<PathBuf>()));
            let found = Openings::below(folder.path());
            assert_eq!((found.pipe.is_some(), found.socket), (expected, None), "{folders}");
        }
    }

    #[test]
    fn the_look_goes_over_so_many_files_and_no_more() {
        for (files, expected) in [(10, true), (SHOWN_ENTRIES_LOOKED_AT_MAX, false)] {
            let folder = tempfile::tempdir().unwrap();
            let within = folder.path().join("within");
            pipe_in(&within.join("below"));
            for number in 0..files {
                fs::write(within.join(number.to_string()), "").unwrap();
            }
            assert_eq!(Openings::below(folder.path()).pipe.is_some(), expected, "{files}");
        }
    }
}
