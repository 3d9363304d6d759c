//! What is cut off.

use std::collections::BTreeMap;

use ringfence_types::{SuspensionId, Timestamp};

use crate::record::SuspensionRecord;
use crate::spawn::Scopes;

/// The suspensions in force, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suspensions {
    active: BTreeMap<SuspensionId, SuspensionRecord>,
}

impl Suspensions {
    pub(super) fn apply(&mut self, record: &SuspensionRecord) {
        if record.active {
            self.active.insert(record.suspension, record.clone());
        } else {
            self.active.remove(&record.suspension);
        }
    }

    /// The suspension that covers `subject`, if one does.
    pub(crate) fn covering(&self, subject: &Scopes, now: Timestamp) -> Option<&SuspensionRecord> {
        self.in_force(now).find(|record| subject.covered_by(&record.scope))
    }

    pub(crate) fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &SuspensionRecord> {
        let lasts = move |record: &&SuspensionRecord| record.until.is_none_or(|until| now < until);
        self.active.values().filter(lasts)
    }

    /// Also those whose time is over.
    pub(super) fn all(&self) -> impl Iterator<Item = &SuspensionRecord> {
        self.active.values()
    }

    pub(crate) fn get(&self, suspension: SuspensionId, now: Timestamp) -> Option<&SuspensionRecord> {
        self.in_force(now).find(|record| record.suspension == suspension)
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.active.retain(|_, record| record.until.is_none_or(|until| now < until));
    }
}
