//! What is done with the program of a run while it runs.

use std::time::Duration;

use ringfence_kernel::{EndedBy, Exit, Used};
use ringfence_sandbox::{ExitStatus, Process, Stats};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::limits::KILL_GRACE;
use crate::signal::Signal;

/// What a run is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Pause,
    Resume,
    Signal(Signal),
    /// To end at once, and not when it pleases.
    Kill,
}

/// Does what is ordered of a program.
pub(crate) fn obey(order: Order, process: &Process) {
    match order {
        Order::Pause => process.pause(),
        Order::Resume => process.resume(),
        Order::Signal(signal) => process.signal(signal.number()),
        // Its end is on record, which is what ends it; only the grace is shorter.
        Order::Kill => {}
    }
}

/// Ends a program: it is asked to, and after a grace everything in its sandbox is killed.
pub(crate) async fn end(
    process: &mut Process,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    grace: Duration,
) -> ExitStatus {
    // What is held cannot end by itself.
    process.resume();
    process.terminate();
    let mut deadline = Instant::now() + grace;
    loop {
        tokio::select! {
            biased;
            status = process.exited() => return status,
            Some(order) = orders.recv() => {
                if matches!(order, Order::Kill) {
                    deadline = deadline.min(Instant::now() + KILL_GRACE);
                }
            }
            () = sleep_until(deadline) => break,
        }
    }
    process.kill();
    process.exited().await
}

/// Gives the program what it reads, then the end of it.
pub(crate) fn feed(mut stdin: Sender, input: Vec<u8>) -> JoinHandle<()> {
    tokio::spawn(async move {
        // A program that does not read what it is given has its reasons.
        let _ = stdin.write_all(&input).await;
    })
}

/// How it ended, as it stands in the log.
pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    match status {
        ExitStatus::Exited(code) => Exit::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        ExitStatus::Signaled(signal) => Exit::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
        ExitStatus::Killed => Exit::Signal(9),
    }
}

/// What it used, as it stands in the log.
pub(crate) fn used_of(stats: &Stats) -> Used {
    Used {
        memory_bytes_peak: stats.memory_bytes_peak,
        cpu_us: u64::try_from(stats.cpu.as_micros()).unwrap_or(u64::MAX),
        memory_kills: stats.memory_kills.unwrap_or_default(),
    }
}

/// Why it ended, with what lack of memory had to do with it. `most`: what it may have.
pub(crate) fn reason_of(
    why: EndedBy,
    reason: String,
    exit: Exit,
    stats: Option<&Stats>,
    most: Option<u64>,
) -> String {
    let Some(lack) = stats.and_then(Stats::lack) else { return reason };
    let most = most.map(|bytes| format!(" (it may have {})", ringfence_types::format_size(bytes)));
    let most = most.unwrap_or_default();
    // A shell, or the first process of a container, says 137 of whom it waited for.
    if why == EndedBy::Program && matches!(exit, Exit::Signal(9) | Exit::Code(137)) {
        return format!("its program was killed for lack of memory{most}");
    }
    format!("{reason}; {lack}{most}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_killed_for_lack_of_memory_is_told_so() {
        let told = |why, exit, kills| {
            let stats = Stats {
                memory_bytes: 0,
                memory_bytes_peak: Some(64 << 20),
                processes: 0,
                cpu: Duration::from_micros(5),
                memory_kills: kills,
                by_cgroup: true,
            };
            assert_eq!(used_of(&stats).memory_kills, kills.unwrap_or(0));
            reason_of(why, "as it was".into(), exit, Some(&stats), Some(64 << 20))
        };
        let killed = "its program was killed for lack of memory (it may have 64Mi)";
        assert_eq!(told(EndedBy::Program, Exit::Code(137), Some(1)), killed);
        assert_eq!(told(EndedBy::Program, Exit::Signal(9), Some(2)), killed);
        let lived = told(EndedBy::Program, Exit::Code(3), Some(2));
        assert_eq!(
            lived,
            "as it was; for lack of memory the kernel killed 2 processes of it (it may have 64Mi)"
        );
        assert!(told(EndedBy::Person, Exit::Signal(9), Some(1)).starts_with("as it was; for lack of memory"));
        for kills in [Some(0), None] {
            assert_eq!(told(EndedBy::Program, Exit::Signal(9), kills), "as it was");
        }
    }
}
