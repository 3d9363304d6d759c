//! What a child uses.

use std::time::Duration;

/// What a child and everything below it use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of memory: what the cgroup is charged with, its files in memory included; without a cgroup, the sum
    /// of what its processes have resident.
    pub memory_bytes: u64,
    /// The most it was, where a cgroup keeps that.
    pub memory_bytes_peak: Option<u64>,
    /// Processes; with a cgroup, threads count too.
    pub processes: u64,
    /// Processor time, user and system; without a cgroup, without that of processes that have ended unwaited for.
    pub cpu: Duration,
    /// How often the kernel killed a process of it for lack of memory, where a cgroup keeps that.
    pub memory_kills: Option<u64>,
    /// Whether a cgroup was read; without one the numbers are sums over its processes.
    pub by_cgroup: bool,
}

impl Stats {
    /// That processes were killed for lack of memory, if some were: words that go on after how a child ended.
    pub fn lack(&self) -> Option<String> {
        match self.memory_kills? {
            0 => None,
            1 => Some("for lack of memory the kernel killed a process of it".to_owned()),
            kills => Some(format!("for lack of memory the kernel killed {kills} processes of it")),
        }
    }
}
