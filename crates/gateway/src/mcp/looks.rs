//! When servers are looked at: one look at a time for each, later and later at one that keeps saying that its tools
//! changed, and not at once again where a look failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringfence_types::{ServerName, WorkspaceName};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::upstream::UpstreamError;
use crate::Limits;

/// The looks at all servers.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<HashMap<(WorkspaceName, ServerName), Arc<Look>>>);

/// The looks at one server.
#[derive(Debug, Default)]
pub(crate) struct Look {
    turn: AsyncMutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether one is planned that has not begun.
    planned: bool,
    /// When the last one was planned.
    last: Option<Instant>,
    /// How many were planned one soon after the other.
    in_a_row: u32,
    /// How many failed in a row, and until when none is tried again.
    failures: u32,
    not_before: Option<Instant>,
}

// === impl Looks ===

impl Looks {
    pub(crate) fn of(&self, workspace: &WorkspaceName, server: &ServerName) -> Arc<Look> {
        Arc::clone(self.0.lock().entry((workspace.clone(), server.clone())).or_default())
    }
}

// === impl Look ===

impl Look {
    /// Waits until nobody else looks.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Plans a look; gives how long to wait for it, or nothing where one is planned already. The wait doubles as long
    /// as the server keeps asking for another before it was quiet for the longest wait.
    pub(crate) fn plan(&self, limits: &Limits) -> Option<Duration> {
        let mut state = self.state.lock();
        if state.planned {
            return None;
        }
        let quiet = state.last.is_none_or(|last| last.elapsed() >= limits.refresh_wait_max);
        state.in_a_row = if quiet { 0 } else { state.in_a_row.saturating_add(1) };
        state.planned = true;
        state.last = Some(Instant::now());
        Some(doubled(limits.refresh_wait, state.in_a_row, limits.refresh_wait_max))
    }

    /// The planned look begins: what the server says from here on asks for another.
    pub(crate) fn begin(&self) {
        self.state.lock().planned = false;
    }

    /// Whether the server may be asked again, after a look that failed.
    pub(crate) fn check(&self) -> Result<(), UpstreamError> {
        let left = self.state.lock().not_before.map(|time| time.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Err(UpstreamError::Resting { wait_ms: left.as_millis() }),
            None => Ok(()),
        }
    }

    pub(crate) fn went_well(&self) {
        let mut state = self.state.lock();
        (state.failures, state.not_before) = (0, None);
    }

    pub(crate) fn failed(&self, limits: &Limits) {
        let mut state = self.state.lock();
        let wait = doubled(limits.restart_wait, state.failures, limits.restart_wait_max);
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + wait);
    }
}

fn doubled(wait: Duration, times: u32, max: Duration) -> Duration {
    wait.saturating_mul(1 << times.min(16)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_keeps_asking_waits_twice_as_long_each_time_up_to_a_bound() {
        let (look, limits) = (Look::default(), Limits::default());
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(look.plan(&limits).unwrap());
            assert_eq!(look.plan(&limits), None, "one is planned");
            look.begin();
        }
        assert_eq!(&waits[..3], [limits.refresh_wait, limits.refresh_wait * 2, limits.refresh_wait * 4]);
        assert_eq!(waits.last(), Some(&limits.refresh_wait_max));
    }

    #[test]
    fn a_server_that_failed_is_left_alone_for_a_while() {
        let (look, limits) = (Look::default(), Limits::default());
        assert!(look.check().is_ok());
        look.failed(&limits);
        assert!(matches!(look.check(), Err(UpstreamError::Resting { .. })));
        look.went_well();
        assert!(look.check().is_ok());
    }
}
