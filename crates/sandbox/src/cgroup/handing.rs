//! Handing controllers down a tree of cgroups (v2), which only a cgroup without processes of its own may: cgroups(7).

use std::fs;
use std::path::Path;

use rustix::process::{getpid, getppid};

use super::hierarchies::Controller;
use super::set;
use crate::inside::descendants;

/// Where the node and its spawners go, so that the cgroup that they were in may hand out controllers.
const NODE: &str = "ringfence_node";

/// How often processes are looked for that were started while the others moved.
const MOVE_ROUNDS: usize = 5;

const KNOWN: [(&str, Controller); 3] =
    [("memory", Controller::Memory), ("pids", Controller::Processes), ("cpu", Controller::Cpu)];

/// What folders below get, and why not more.
#[derive(Debug, Default)]
pub(super) struct Handed {
    pub(super) controllers: Vec<Controller>,
    pub(super) without: Option<String>,
}

/// The cgroup to make folders in: where an earlier spawner of this node made way, it is the one above.
pub(super) fn roomy(own: &Path) -> &Path {
    own.parent().filter(|_| own.ends_with(NODE)).unwrap_or(own)
}

/// Has the controllers of `parent` handed to the folders below `base`, which lies in it.
///
/// # Errors
/// When no process can be in `base`.
pub(super) fn hand_out(parent: &Path, base: &Path) -> Result<Handed, String> {
    let available = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    let has = |name: &str| available.split_whitespace().any(|one| one == name);
    let (there, lacking): (Vec<_>, Vec<_>) = KNOWN.into_iter().partition(|(name, _)| has(name));
    let mut handed = Handed::default();
    if !lacking.is_empty() {
        let names: Vec<&str> = lacking.iter().map(|(name, _)| *name).collect();
        handed.without =
            Some(format!("the cgroup {} has no controller {}", parent.display(), names.join(", ")));
    }
    // Where there is nothing to hand out, everybody stays.
    if !there.is_empty() {
        match make_way(parent) {
            Ok(()) => grant(&there, &[parent, base], &mut handed),
            Err(why) => {
                handed.without = Some(format!("the cgroup {} hands out nothing: {why}", parent.display()));
            }
        }
    }
    // Nothing that is the kernel's own is without this file, but the root of all.
    match fs::read_to_string(base.join("cgroup.type")).as_deref().map(str::trim) {
        Ok("domain") | Err(_) => Ok(handed),
        Ok(kind) => Err(format!("no process can be in a cgroup below {}: it is `{kind}`", parent.display())),
    }
}

fn grant(wanted: &[(&str, Controller)], folders: &[&Path], handed: &mut Handed) {
    for (name, controller) in wanted {
        let order = format!("+{name}");
        match folders.iter().try_for_each(|folder| set(folder, "cgroup.subtree_control", &order)) {
            Ok(()) => handed.controllers.push(*controller),
            Err(why) => handed.without = Some(why),
        }
    }
}

/// Moves the node, and what it has started, into a folder of their own. Other people's processes are not moved: then
/// nothing may be handed out. The kernel refuses that of `memory` alone; `pids` and `cpu` it hands out, and no cgroup
/// below could hold a process any more.
fn make_way(parent: &Path) -> Result<(), String> {
    // The root of all may hold processes.
    if !parent.join("cgroup.type").exists() {
        return Ok(());
    }
    let mut moved = Ok(());
    for _ in 0..MOVE_ROUNDS {
        let inside = processes(parent)?;
        if inside.is_empty() {
            return Ok(());
        }
        let own = own_processes();
        if inside.iter().any(|pid| !own.contains(pid)) {
            return Err("other processes are in it".to_owned());
        }
        let aside = parent.join(NODE);
        if !aside.exists() {
            fs::create_dir(&aside).map_err(|error| format!("making {}: {error}", aside.display()))?;
        }
        // One that has just ended cannot be moved, and one that was just started is found the next time.
        for pid in inside {
            moved = set(&aside, "cgroup.procs", &pid.to_string());
        }
    }
    moved.and_then(|()| Err("processes are started in it all the time".to_owned()))
}

/// Ids of what is in a cgroup; 0 is somebody whom this process cannot see.
fn processes(folder: &Path) -> Result<Vec<i32>, String> {
    let path = folder.join("cgroup.procs");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines().map(|line| line.parse().map_err(|_| format!("{} holds `{line}`", path.display()))).collect()
}

/// The node, which started this spawner, and all below it.
fn own_processes() -> Vec<i32> {
    let node = getppid();
    let below = node.map(descendants).unwrap_or_default();
    [Some(getpid()), node].into_iter().flatten().chain(below).map(|pid| pid.as_raw_nonzero().get()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders as the kernel shows them, with these processes in the upper one.
    fn folders(inside: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let base = parent.path().join("base");
        fs::create_dir(&base).unwrap();
        fs::write(parent.path().join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        fs::write(parent.path().join("cgroup.procs"), inside).unwrap();
        for folder in [parent.path(), &base] {
            fs::write(folder.join("cgroup.type"), "domain\n").unwrap();
            fs::write(folder.join("cgroup.subtree_control"), "").unwrap();
        }
        (parent, base)
    }

    fn granted(folder: &Path) -> String {
        fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap()
    }

    #[test]
    fn an_empty_cgroup_hands_out_what_it_has() {
        let (parent, base) = folders("");
        let handed = hand_out(parent.path(), &base).unwrap();
        assert_eq!(handed.controllers, KNOWN.map(|(_, controller)| controller));
        assert_eq!(handed.without, None);
        fs::write(parent.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let handed = hand_out(parent.path(), &base).unwrap();
        assert_eq!(handed.controllers, [Controller::Processes, Controller::Cpu]);
        assert!(handed.without.unwrap().ends_with("has no controller memory"));
        fs::write(parent.path().join("cgroup.controllers"), "").unwrap();
        let handed = hand_out(parent.path(), &base).unwrap();
        assert!(handed.without.unwrap().ends_with("has no controller memory, pids, cpu"));
    }

    #[test]
    fn where_other_processes_are_nothing_is_handed_out_not_even_what_the_kernel_would() {
        for other in ["1\n", "0\n"] {
            let (parent, base) = folders(other);
            let handed = hand_out(parent.path(), &base).unwrap();
            assert_eq!(handed.controllers, []);
            assert!(handed.without.unwrap().ends_with("hands out nothing: other processes are in it"));
            assert_eq!((granted(parent.path()).as_str(), granted(&base).as_str()), ("", ""));
            assert!(!parent.path().join(NODE).exists());
        }
    }

    #[test]
    fn the_node_and_what_it_started_are_moved_and_looked_for_again() {
        let (parent, base) = folders(&format!("{}\n{}\n", getpid(), getppid().unwrap()));
        let aside = parent.path().join(NODE);
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("cgroup.procs"), "").unwrap();
        // Nobody leaves a folder that is none of the kernel's.
        let handed = hand_out(parent.path(), &base).unwrap();
        assert!(handed.without.unwrap().ends_with("processes are started in it all the time"));
        assert_ne!(fs::read_to_string(aside.join("cgroup.procs")).unwrap(), "");
        assert_eq!(granted(parent.path()), "");
    }

    #[test]
    fn a_cgroup_that_can_hold_no_process_is_an_error() {
        let (parent, base) = folders("");
        fs::write(base.join("cgroup.type"), "domain invalid\n").unwrap();
        let refused = hand_out(parent.path(), &base).unwrap_err();
        assert!(refused.ends_with(": it is `domain invalid`"), "{refused}");
    }

    #[test]
    fn who_has_made_way_makes_folders_beside_it() {
        assert_eq!(roomy(Path::new("/a/b.service/ringfence_node")), Path::new("/a/b.service"));
        assert_eq!(roomy(Path::new("/a/b.service")), Path::new("/a/b.service"));
        assert_eq!(roomy(Path::new("/")), Path::new("/"));
    }
}
