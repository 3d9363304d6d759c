//! What a child uses, where no cgroup says: summed over its processes.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;

use crate::inside::descendants;
use crate::stats::Stats;

/// The unit of processor time below `/proc`: USER_HZ, the same on every machine we build for.
const TICKS_PER_SECOND: u64 = 100;

/// Sums over everything below the first process of a sandbox; `None` when it has just ended.
pub(super) fn by_processes(first: Pid) -> Option<Stats> {
    let below = descendants(first);
    let mut stats = Stats {
        memory_bytes: 0,
        memory_bytes_peak: None,
        processes: 0,
        cpu: Duration::ZERO,
        memory_kills: None,
        by_cgroup: false,
    };
    for pid in below {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((cpu, pages)) = read(&stat) else { continue };
        stats.processes += 1;
        stats.cpu += cpu;
        stats.memory_bytes += pages.saturating_mul(rustix::param::page_size() as u64);
    }
    (stats.processes > 0).then_some(stats)
}

/// Processor time, that of children waited for included, and resident pages: proc_pid_stat(5).
fn read(stat: &str) -> Option<(Duration, u64)> {
    // The second field is a name that may hold anything; the third is the first of these.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index - 3)?.parse::<u64>().ok();
    let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
    Some((Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND), number(24)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_behind_a_hostile_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 200 0 0 150 50 7 3 20 0 1 0 99 5000 321 18446744073709551615";
        assert_eq!(read(stat), Some((Duration::from_millis(2_100), 321)));
        assert_eq!(read("7 (a) S 1"), None);
        assert_eq!(read(""), None);
    }
}
