//! What is done with the program of a run while it runs.

use std::time::Duration;

use ringfence_kernel::Exit;
use ringfence_sandbox::{ExitStatus, Process};
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
