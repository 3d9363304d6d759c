//! What a node and its sandboxes leave on the machine: processes, cgroups, mounts, sockets, files.
//!
//! It is told apart from what others do on the machine at the same time: processes are those below this one, which adopts
//! whatever loses its parent; cgroups are those that such processes were seen in; files and mounts have the node's folder
//! in their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

/// Cgroups inside one another that are looked into.
const DEPTH_MAX: usize = 12;

/// How the folders of spawners begin, in cgroups and among temporary files.
const PREFIX: &str = "ringfence-";

/// What one node may leave, and where.
#[derive(Debug)]
pub struct Remains {
    /// The node's own folder, with its data.
    folder: PathBuf,
    /// Its temporary files, and nobody else's.
    temporary: PathBuf,
    /// Folders of its spawners in the trees of cgroups, as far as they were seen.
    cgroups: BTreeSet<String>,
}

/// A process, as far as it matters here.
#[derive(Debug, Clone)]
struct Process {
    pid: i32,
    parent: i32,
    is_zombie: bool,
    name: String,
}

impl Remains {
    /// Of a node in this folder, whose `TMPDIR` is the other. From now on this process adopts what loses its parent below it.
    pub fn of(folder: &Path, temporary: &Path) -> Self {
        set_child_subreaper(Some(getpid())).unwrap_or_else(|error| panic!("cannot adopt processes: {error}"));
        Self { folder: folder.to_owned(), temporary: temporary.to_owned(), cgroups: BTreeSet::new() }
    }

    /// Notes which cgroups the processes are in now.
    pub fn look(&mut self) {
        for process in below(own(), &processes()) {
            let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).unwrap_or_default();
            let names = cgroups.split(['/', '\n']).filter(|name| name.starts_with(PREFIX));
            self.cgroups.extend(names.map(str::to_owned));
        }
    }

    /// How many folders in the trees of cgroups were seen, each of another spawner.
    pub fn spawners(&self) -> usize {
        self.cgroups.len()
    }

    /// What is left of nodes that are gone: a sentence for each thing. `alive` are processes that may be there with all
    /// below them; `node` says whether one of them is a node in the same folder, whose own files may be there.
    pub fn left(&self, alive: &[u32], node: bool) -> Vec<String> {
        let mut left = Self::processes(alive);
        left.extend(self.cgroup_folders().map(|path| format!("the cgroup {}", path.display())));
        left.extend(self.mounts());
        left.extend(self.temporary(node));
        left.extend(self.sockets(node));
        left.extend(self.trust());
        left
    }

    fn processes(alive: &[u32]) -> Vec<String> {
        let all = processes();
        let mut left = below(own(), &all);
        for root in alive.iter().filter_map(|pid| i32::try_from(*pid).ok()) {
            let spared: BTreeSet<i32> = below(root, &all).iter().map(|process| process.pid).collect();
            left.retain(|process| process.pid != root && !spared.contains(&process.pid));
        }
        // One that was adopted is gone when it is waited for.
        left.retain(|process| !(process.is_zombie && process.parent == own() && reaped(process.pid)));
        left.iter().map(|process| format!("the process {} ({})", process.pid, process.name)).collect()
    }

    fn cgroup_folders(&self) -> impl Iterator<Item = PathBuf> {
        let mut found = Vec::new();
        folders(Path::new("/sys/fs/cgroup"), DEPTH_MAX, &mut |path| {
            if path.file_name().is_some_and(|name| self.cgroups.contains(&*name.to_string_lossy())) {
                found.push(path.to_owned());
            }
        });
        found.into_iter()
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let here = [&self.folder, &self.temporary].map(|path| path.to_string_lossy().into_owned());
        let ours = mounts.lines().filter(|line| here.iter().any(|path| line.contains(path.as_str())));
        ours.map(|line| format!("the mount {line}")).collect()
    }

    /// A living node has one folder there, in which nothing is when nothing runs.
    fn temporary(&self, node: bool) -> Vec<String> {
        let mut left: Vec<PathBuf> = entries(&self.temporary);
        if node {
            let own = left.iter().position(|path| is_named(path, PREFIX) && entries(path).is_empty());
            own.map(|own| left.remove(own));
        }
        left.iter().map(|path| format!("the temporary {}", path.display())).collect()
    }

    fn sockets(&self, node: bool) -> Vec<String> {
        let folder = self.folder.to_string_lossy().into_owned();
        let open = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let paths = open.lines().filter_map(|line| line.split_whitespace().nth(7));
        let mut left: Vec<String> = paths.filter(|path| path.contains(&folder)).map(str::to_owned).collect();
        left.sort_unstable();
        left.dedup();
        // It is bound under another name, and renamed when it is ready.
        left.retain(|path| !(node && path.contains("/control.sock")));
        left.into_iter().map(|path| format!("the socket {path}")).collect()
    }

    /// Certificates of runs, which are there for as long as it takes to show them inside.
    fn trust(&self) -> Vec<String> {
        let mut left = Vec::new();
        folders(&self.folder.join("data"), DEPTH_MAX, &mut |path| {
            left.extend(entries(path).into_iter().filter(|file| is_named(file, "trust-")));
        });
        left.iter().map(|path| format!("the certificates {}", path.display())).collect()
    }
}

/// The descriptors of a process and everything below it, counted by what they are; nothing where they cannot be seen.
pub fn descriptors(pid: u32) -> BTreeMap<String, usize> {
    let all = processes();
    let pid = i32::try_from(pid).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for pid in below(pid, &all).iter().map(|process| process.pid).chain([pid]) {
        for entry in entries(Path::new(&format!("/proc/{pid}/fd"))) {
            let Ok(target) = fs::read_link(entry) else { continue };
            let target = target.to_string_lossy().into_owned();
            // `net:[4026532]`, `socket:[81]`, `anon_inode:[eventpoll]`, or a file, by where it is.
            let kind = match target.split_once(":[") {
                Some(("anon_inode", _)) => target.as_str(),
                Some((kind, _)) => kind,
                None => target.split('/').nth(1).unwrap_or("elsewhere"),
            };
            *counts.entry(kind.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Processes below another whose environment says that they belong to a run.
pub fn of_runs(pid: u32) -> usize {
    let is_of_run = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"RINGFENCE_RUN="))
    };
    let pid = i32::try_from(pid).unwrap_or_default();
    below(pid, &processes()).iter().filter(|process| is_of_run(process.pid)).count()
}

fn own() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn reaped(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return false };
    matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_)))
}

/// All processes of the machine that can be seen.
fn processes() -> Vec<Process> {
    let pids = entries(Path::new("/proc"));
    pids.iter().filter_map(|path| Process::read(path.file_name()?.to_str()?.parse().ok()?)).collect()
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state parent …`, and a name may have brackets in it.
        let (before, after) = stat.rsplit_once(')')?;
        let mut rest = after.split_whitespace();
        let is_zombie = matches!(rest.next()?, "Z" | "X");
        let name = before.split_once('(')?.1.to_owned();
        Some(Self { pid, parent: rest.next()?.parse().ok()?, is_zombie, name })
    }
}

/// All processes below one.
fn below(root: i32, all: &[Process]) -> Vec<Process> {
    let mut parents = BTreeSet::from([root]);
    let mut found: Vec<Process> = Vec::new();
    loop {
        let more: Vec<Process> = all
            .iter()
            .filter(|process| parents.contains(&process.parent) && !parents.contains(&process.pid))
            .cloned()
            .collect();
        if more.is_empty() {
            return found;
        }
        parents.extend(more.iter().map(|process| process.pid));
        found.extend(more);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// Shows every folder below one, itself included; no links are followed.
fn folders(folder: &Path, depth: usize, show: &mut impl FnMut(&Path)) {
    show(folder);
    if depth > 0 {
        for path in entries(folder) {
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                folders(&path, depth - 1, show);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_left_is_seen_each_kind_of_it() {
        let place = tempfile::tempdir().unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let remains = Remains::of(place.path(), temporary.path());
        assert_eq!(remains.left(&[], false), [] as [String; 0]);

        let orphan = "sleep 100 >/dev/null 2>&1 & echo $!";
        let said = Command::new("sh").args(["-c", orphan]).stderr(Stdio::null()).output().unwrap();
        let orphan: u32 = String::from_utf8(said.stdout).unwrap().trim().parse().unwrap();
        fs::create_dir(temporary.path().join("ringfence-home-1")).unwrap();
        let run = place.path().join("data/runs/lab/run_1");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("trust-all.pem"), "").unwrap();
        let socket = std::os::unix::net::UnixListener::bind(place.path().join("control.sock")).unwrap();
        let left = remains.left(&[], false);
        for what in ["sleep", "ringfence-home-1", "trust-all.pem", "control.sock"] {
            assert!(left.iter().any(|line| line.contains(what)), "{what}: {left:?}");
        }
        assert_eq!(remains.left(&[orphan], true).len(), 1, "what belongs to a living node is not left");

        let pid = Pid::from_raw(i32::try_from(orphan).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        fs::remove_dir(temporary.path().join("ringfence-home-1")).unwrap();
        fs::remove_file(run.join("trust-all.pem")).unwrap();
        drop(socket);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(remains.left(&[], false), [] as [String; 0], "a zombie is waited for");
    }
}
