//! Where this machine's cgroups are and which of them this process is in: cgroups(7).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a cgroup is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    Memory,
    Processes,
    Cpu,
    /// Accounts of processor time (v1).
    CpuTime,
    Freezer,
}

/// The cgroup this process is in, in each hierarchy.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// v1: a folder and what it controls.
    pub(super) old: Vec<(PathBuf, Vec<Controller>)>,
    /// v2.
    pub(super) unified: Option<PathBuf>,
}

// === impl Hierarchies ===

impl Hierarchies {
    pub(super) fn find() -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let places = fs::read_to_string("/proc/self/cgroup")?;
        Ok(Self::read(&mounts, &places))
    }

    fn read(mounts: &str, places: &str) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let Some(mount) = Mount::read(line) else { continue };
            if mount.kind == "cgroup2" {
                let place = places.lines().find_map(|line| line.strip_prefix("0::"));
                found.unified = place.and_then(|place| mount.folder(place)).or(found.unified);
                continue;
            }
            let controls: Vec<Controller> = mount.options.split(',').filter_map(controller).collect();
            let place = places.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (names, path) = rest.split_once(':')?;
                let shared = names.split(',').filter_map(controller).any(|one| controls.contains(&one));
                shared.then_some(path)
            });
            if let Some(folder) = place.and_then(|place| mount.folder(place)) {
                // The same hierarchy can be mounted twice.
                if !found.old.iter().any(|(_, other)| *other == controls) {
                    found.old.push((folder, controls));
                }
            }
        }
        found
    }
}

fn controller(name: &str) -> Option<Controller> {
    match name {
        "memory" => Some(Controller::Memory),
        "pids" => Some(Controller::Processes),
        "cpu" => Some(Controller::Cpu),
        "cpuacct" => Some(Controller::CpuTime),
        "freezer" => Some(Controller::Freezer),
        _ => None,
    }
}

/// One mounted hierarchy.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// A line of mountinfo: fourth and fifth field, and behind the dash the kind, the source and its options.
    fn read(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        matches!(kind, "cgroup" | "cgroup2").then_some(Self { root, point, kind, options })
    }

    /// The folder of a cgroup, if this mount shows it.
    fn folder(&self, place: &str) -> Option<PathBuf> {
        let beneath = Path::new(place).strip_prefix(self.root).ok()?;
        Some(Path::new(self.point).join(beneath))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_in_old_mixed_and_new_machines() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let places = "4:memory:/a/b\n2:cpu,cpuacct:/\n9:name=systemd:/x\n0::/u\n";
        let found = Hierarchies::read(mounts, places);
        let memory = ("/sys/fs/cgroup/memory/a/b".into(), vec![Controller::Memory]);
        let cpu = ("/sys/fs/cgroup/cpu,cpuacct".into(), vec![Controller::Cpu, Controller::CpuTime]);
        assert_eq!(found.old, [memory, cpu]);
        assert_eq!(found.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified/u")));

        let alone = Hierarchies::read(
            "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate",
            "0::/user.slice/user-1000.slice/app.service\n",
        );
        let own = "/sys/fs/cgroup/user.slice/user-1000.slice/app.service";
        assert_eq!(alone, Hierarchies { old: Vec::new(), unified: Some(own.into()) });
    }

    #[test]
    fn a_cgroup_that_no_mount_shows_is_not_found() {
        let part = "30 23 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(Hierarchies::read(part, "0::/elsewhere\n"), Hierarchies::default());
        let own = Hierarchies::read(part, "0::/docker/x/y\n");
        assert_eq!(own.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/y")));
        assert_eq!(Hierarchies::read("", ""), Hierarchies::default());
    }
}
