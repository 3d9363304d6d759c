//! Payloads are kept as long as their workspace says. Proofs are not touched: the log keeps their names.

use std::sync::atomic::Ordering;

use ringfence_ledger::{PayloadClass, Pruned, RoomFor};
use ringfence_types::Timestamp;

use crate::actor::node_name;
use crate::kernel::Inner;
use crate::limits::PRUNING;
use crate::record::{NodeEvent, Record, RunRecord};

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
            let (ledger, of) = (self.ledger.clone(), class.clone());
            // Reads and removes files.
            let pruned = tokio::task::spawn_blocking(move || ledger.prune(&of, before)).await;
            match pruned {
                Ok(Ok(pruned)) if pruned.segments > 0 => self.say_pruned(&class, &pruned),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "payloads whose time is over could not be removed; tried again later");
                }
                // Nothing was, or the runtime is stopping.
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    }

    /// Puts on record that payloads are missing because their time was over.
    fn say_pruned(&self, class: &PayloadClass, pruned: &Pruned) {
        let reason = format!(
            "the payloads of {} before entry {} are no longer kept; {} bytes were removed",
            class.as_str(),
            pruned.before_entry,
            pruned.bytes
        );
        let record = RunRecord { event: NodeEvent::Pruned, run: None, reason, by: node_name() };
        // The folder says itself up to where it was pruned; this says when.
        let _ = self.state.lock().commit(&self.clock, &Record::Run(record), Vec::new(), RoomFor::Operator);
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
