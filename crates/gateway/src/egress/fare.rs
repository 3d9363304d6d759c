//! A cleared connection or request under way: what went either way is counted, and however it ends it is settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use ringfence_json::{Object, Value};
use ringfence_kernel::{Cancel, CancelledBy, CutOff, EgressClearance, Failure, Outcome, Traffic};
use ringfence_types::{ActionId, Code, Digest};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::berth::Berth;

/// Bytes that went either way. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(Arc<Both>);

#[derive(Debug, Default)]
struct Both {
    sent: AtomicU64,
    received: AtomicU64,
    /// All of the run's.
    of_run: Traffic,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the sandbox to the host.
    Out,
    /// From the host to the sandbox.
    In,
}

/// A clearance under way. Dropped before it ended, it ended because the program inside went away.
#[derive(Debug)]
pub(crate) struct Fare {
    clearance: Option<EgressClearance>,
    pub(crate) action: ActionId,
    /// The configuration that decided: what is reached is reached as it says.
    pub(crate) config: Digest,
    pub(crate) counts: Counts,
    pub(crate) cancel: Cancel,
    pub(crate) deadline: Instant,
    /// Bytes that a rule lets the host answer with.
    pub(crate) bytes_max: Option<u64>,
    ends_with_run: bool,
    /// Cancelled when the run is over, and its connections to hosts with it.
    over: CancellationToken,
    status: Option<StatusCode>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides are done.
    Done,
    /// From above.
    Cut(CutOff),
    /// Its time was up.
    Deadline,
    /// By the program inside.
    Inside,
    /// By the host, or the way to it.
    Host(Failure, &'static str),
    /// There is no way to the host.
    Unreachable(String),
    /// Nothing was sent.
    NotSent(String),
}

// === impl Counts ===

impl Counts {
    fn within(of_run: &Traffic) -> Self {
        Self(Arc::new(Both { of_run: of_run.clone(), ..Both::default() }))
    }

    pub(crate) fn add(&self, way: Way, bytes: usize) {
        self.0.of_run.add(bytes);
        self.of(way).fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, way: Way) -> u64 {
        self.of(way).load(Ordering::Relaxed)
    }

    fn of(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Out => &self.0.sent,
            Way::In => &self.0.received,
        }
    }

    /// A number that is another one when bytes went either way.
    pub(crate) fn pulse(&self) -> u64 {
        self.get(Way::Out).wrapping_add(self.get(Way::In))
    }
}

// === impl Fare ===

impl Fare {
    /// Of the run whose place this is.
    pub(crate) fn new(clearance: EgressClearance, berth: &Berth) -> Self {
        Self {
            action: clearance.action(),
            config: clearance.config(),
            counts: Counts::within(&berth.traffic),
            cancel: clearance.cancel().clone(),
            deadline: clearance.deadline(),
            bytes_max: clearance.obligations().max_result_bytes,
            ends_with_run: clearance.ends_with_run(),
            over: berth.stop.clone(),
            status: None,
            clearance: Some(clearance),
        }
    }

    /// What the host answered, for the record.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Whether the host has sent more than a rule lets it.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes_max.is_some_and(|most| self.counts.get(Way::In) > most)
    }

    /// Settles.
    pub(crate) fn end(mut self, end: End) {
        self.settle(end);
    }

    fn settle(&mut self, end: End) {
        let Some(clearance) = self.clearance.take() else { return };
        clearance.settle(self.outcome(end));
    }

    fn outcome(&self, end: End) -> Outcome {
        match end {
            End::Done => {
                let result = Value::Object(self.record()).to_bytes();
                let is_error =
                    self.status.is_some_and(|status| status.is_client_error() || status.is_server_error());
                Outcome::Completed { result, is_error }
            }
            End::Cut(cut) => Outcome::Cancelled {
                by: match cut.code {
                    Code::Deadline => CancelledBy::Deadline,
                    Code::Overloaded => CancelledBy::Shutdown,
                    _ => CancelledBy::Suspension,
                },
            },
            End::Deadline if self.ends_with_run => Outcome::Cancelled { by: CancelledBy::Deadline },
            End::Deadline => self.failed(Failure::Timeout, "its time was up"),
            End::Inside => Outcome::Cancelled { by: CancelledBy::Client },
            // It was not the host that broke off.
            End::Host(..) if self.over.is_cancelled() => Outcome::Cancelled { by: CancelledBy::Client },
            End::Host(failure, how) => self.failed(failure, how),
            End::Unreachable(message) => Outcome::Unreachable { message },
            End::NotSent(message) => Outcome::NotSent { message },
        }
    }

    fn failed(&self, failure: Failure, how: &str) -> Outcome {
        let (sent, received) = (self.counts.get(Way::Out), self.counts.get(Way::In));
        Outcome::Failed { failure, message: format!("{how}, after {sent} bytes out and {received} bytes in") }
    }

    fn record(&self) -> Object {
        Object::new()
            .with_some("status", self.status.map(|status| u64::from(status.as_u16())))
            .with("bytes_out", self.counts.get(Way::Out))
            .with("bytes_in", self.counts.get(Way::In))
    }
}

impl Drop for Fare {
    fn drop(&mut self) {
        self.settle(End::Inside);
    }
}
