//! Payloads are kept as long as their workspace says. Proofs are not touched: the log keeps their names.

use std::sync::atomic::Ordering;

use ringfence_ledger::PayloadClass;
use ringfence_types::Timestamp;

use crate::kernel::Inner;
use crate::limits::PRUNING;

impl Inner {
    /// Removes the payloads whose time is over, if that was not done lately.
    pub(crate) async fn prune_if_due(&self) {
        let now = self.clock.now();
        let last = Timestamp::from_micros(self.pruned_at.load(Ordering::Relaxed));
        if now.since(last) < PRUNING {
            return;
        }
        self.pruned_at.store(now.as_micros(), Ordering::Relaxed);
        for (class, before) in self.retentions(now) {
            let ledger = self.ledger.clone();
            // Reads and removes files.
            let pruned = tokio::task::spawn_blocking(move || ledger.prune(&class, before)).await;
            if let Ok(Err(error)) = pruned {
                tracing::warn!(%error, "payloads whose time is over could not be removed; tried again later");
            }
        }
    }

    /// Each workspace's payloads, and the moment before which they are over.
    fn retentions(&self, now: Timestamp) -> Vec<(PayloadClass, Timestamp)> {
        let setup = self.setup.load();
        let each = setup.workspaces.iter().filter_map(|(name, workspace)| {
            let class = PayloadClass::new(name.as_str()).ok()?;
            let kept = u64::try_from(workspace.retention.as_micros()).unwrap_or(u64::MAX);
            Some((class, Timestamp::from_micros(now.as_micros().saturating_sub(kept))))
        });
        each.collect()
    }
}
