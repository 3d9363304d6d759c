//! What processes use, by what the kernel tells about them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Failure, failure};

/// What a process has used of the processors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub most: u64,
    /// Resident of anonymous memory: without the program's own file.
    pub anonymous: u64,
    /// Resident, with shared pages by their share; unknown where the machine does not tell.
    pub proportional: Option<u64>,
}

/// Where proc(5) has, counted from the state, the parent and the times: user, system, and both of waited-for children.
const PARENT: usize = 1;
const TIMES: usize = 11;

/// What one process has used until now, all its threads together, without its children.
pub fn cpu(pid: u32) -> Result<Cpu, Failure> {
    let fields = stat(pid)?;
    Ok(Cpu { user: ticks(&fields, TIMES)?, system: ticks(&fields, TIMES + 1)? })
}

/// What a process and all below it have used until now, with those that have ended.
pub fn cpu_of_tree(root: u32) -> Result<Cpu, Failure> {
    let mut all = Cpu::default();
    for pid in tree(root) {
        // A process may have ended meanwhile; then its parent has its times.
        let Ok(fields) = stat(pid) else { continue };
        let user = ticks(&fields, TIMES)? + ticks(&fields, TIMES + 2)?;
        let system = ticks(&fields, TIMES + 1)? + ticks(&fields, TIMES + 3)?;
        all = all.plus(Cpu { user, system });
    }
    Ok(all)
}

/// What one process has in memory.
pub fn memory(pid: u32) -> Result<Memory, Failure> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let status = std::fs::read_to_string(folder.join("status"))?;
    let rollup = std::fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
    let needed =
        |name| kilobytes(&status, name).ok_or_else(|| failure(format!("no {name} in /proc/PID/status")));
    Ok(Memory {
        resident: needed("VmRSS")?,
        most: needed("VmHWM")?,
        anonymous: needed("RssAnon")?,
        proportional: kilobytes(&rollup, "Pss"),
    })
}

/// Bytes that a process and all below it have resident; what they share counts for each.
pub fn resident_of_tree(root: u32) -> u64 {
    tree(root).into_iter().filter_map(|pid| memory(pid).ok()).map(|memory| memory.resident).sum()
}

/// A process and its parent.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Which.
    pub pid: u32,
    /// Whose child it is.
    pub parent: u32,
}

/// All processes that can be seen.
pub fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some(Process { pid, parent: stat(pid).ok()?.get(PARENT)?.parse().ok()? })).collect()
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for Process { pid, parent } in all() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// The fields of /proc/PID/stat from the state on: the name before it may have spaces.
fn stat(pid: u32) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = text.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
    Ok(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], at: usize) -> Result<Duration, Failure> {
    let ticks: u32 = fields.get(at).ok_or("no times in /proc/PID/stat")?.parse()?;
    Ok(Duration::from_secs(1) * ticks / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// A size in bytes from a line such as `VmRSS:   1234 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

// === impl Cpu ===

impl Cpu {
    /// User and system time together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier look.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{kilobytes, resident_of_tree, tree};

    #[test]
    fn sizes_are_found_by_their_whole_name() {
        let text = "VmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nRssAnon:\t 512 kB\nThreads:\t4\n";
        assert_eq!(kilobytes(text, "VmRSS"), Some(1 << 20));
        assert_eq!(kilobytes(text, "Vm"), None);
        assert_eq!(kilobytes(text, "Threads"), None);
    }

    #[test]
    fn a_tree_has_the_children() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let own = std::process::id();
        assert!(tree(own).contains(&child.id()));
        assert!(resident_of_tree(own) > resident_of_tree(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
