//! Signals that `ringfence run` gets: passed on to the run's program, as whoever starts a program expects.

use std::time::{Duration, Instant};

use ringfence_json::Object;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::failure::{Exit, Failure};

/// So soon after the first, another Ctrl-C means that the program did not listen.
const AGAIN: Duration = Duration::from_secs(3);

/// What is passed on. A changed window is not: there is no terminal inside.
const PASSED: [&str; 6] = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"];

/// What a signal comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The program gets it as it is.
    Pass,
    /// The run is asked to end.
    Stop,
    /// It is ended.
    Kill,
}

/// How often it was interrupted.
#[derive(Debug, Default)]
enum Patience {
    #[default]
    Fresh,
    /// The program was told, then.
    Told(Instant),
    /// The run was asked to end.
    Stopped,
}

/// Passes signals on. Returns only when that cannot be done.
pub(super) async fn pass_on(client: &Client, run: &str) -> Failure {
    let mut signals = match listen() {
        Ok(signals) => signals,
        Err(error) => return Failure::no(format!("cannot listen for signals: {error}")),
    };
    let mut patience = Patience::default();
    while let Some(name) = signals.recv().await {
        let told = match patience.hears(name, Instant::now()) {
            Meaning::Pass => pass(client, run, name).await,
            Meaning::Stop => tell(client, run, "stop", ("reason", "interrupted twice")).await,
            Meaning::Kill => tell(client, run, "kill", ("reason", "interrupted again")).await,
        };
        match told {
            // One that has ended in the meantime ends the following by itself.
            Err(failure) if failure.exit() == Exit::Unreachable => return failure,
            Ok(()) | Err(_) => {}
        }
    }
    std::future::pending().await
}

/// Sends the program a signal. Where none runs yet, what would have ended it ends the run.
async fn pass(client: &Client, run: &str, name: &'static str) -> Result<(), Failure> {
    let told = tell(client, run, "signal", ("signal", name)).await;
    let Err(failure) = told else { return Ok(()) };
    if failure.exit() == Exit::Unreachable {
        return Err(failure);
    }
    if name.starts_with("USR") {
        eprintln!("ringfence: SIG{name} was not passed on: no program of {run} runs");
        return Ok(());
    }
    let reason = format!("SIG{name} before its program ran");
    tell(client, run, "stop", ("reason", &reason)).await
}

async fn tell(client: &Client, run: &str, what: &str, (member, text): (&str, &str)) -> Result<(), Failure> {
    let body = Object::new().with(member, text);
    client.post(&format!("/api/v1/runs/{run}/{what}"), body).await.map(drop)
}

/// The signals that come, but for those that whoever started this has it ignore (`nohup`, `&` in a script).
fn listen() -> std::io::Result<mpsc::UnboundedReceiver<&'static str>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let ignored = ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    for name in PASSED {
        let kind = kind(name);
        if ignored & (1 << (kind.as_raw_value() - 1)) != 0 {
            continue;
        }
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(name).is_ok() {} });
    }
    Ok(receiver)
}

fn kind(name: &str) -> SignalKind {
    match name {
        "HUP" => SignalKind::hangup(),
        "QUIT" => SignalKind::quit(),
        "TERM" => SignalKind::terminate(),
        "USR1" => SignalKind::user_defined1(),
        "USR2" => SignalKind::user_defined2(),
        _ => SignalKind::interrupt(),
    }
}

/// A bit for each signal that is ignored, the first for 1 (`proc_pid_status(5)`).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

// === impl Patience ===

impl Patience {
    fn hears(&mut self, name: &str, now: Instant) -> Meaning {
        if name != "INT" {
            return Meaning::Pass;
        }
        match *self {
            Self::Told(at) if now.duration_since(at) <= AGAIN => {
                *self = Self::Stopped;
                Meaning::Stop
            }
            Self::Fresh | Self::Told(_) => {
                *self = Self::Told(now);
                Meaning::Pass
            }
            Self::Stopped => Meaning::Kill,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_interrupted_again_soon_is_stopped_and_then_killed() {
        use Meaning::{Kill, Pass, Stop};

        let start = Instant::now();
        let mut patience = Patience::default();
        let told = [("INT", 0), ("TERM", 1), ("INT", 4), ("USR1", 5), ("INT", 6), ("TERM", 7), ("INT", 60)];
        let meant = told.map(|(name, after)| patience.hears(name, start + Duration::from_secs(after)));
        assert_eq!(meant, [Pass, Pass, Pass, Pass, Stop, Pass, Kill]);
    }

    #[test]
    fn what_was_ignored_stays_so() {
        let status = "Name:\tringfence\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\n";
        assert_eq!(ignored(status), 0b1_0000_0000_0011);
        assert_eq!(ignored("Name:\tx\n"), 0);
    }

    #[test]
    fn each_signal_is_listened_for_by_its_own_number() {
        assert_eq!(PASSED.map(|name| kind(name).as_raw_value()), [1, 2, 3, 15, 10, 12]);
    }
}
