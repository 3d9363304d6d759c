//! Refusals of one kind that come again and again are counted, so that a flood of them cannot fill the disk.

use std::collections::HashMap;

use ringfence_types::{Code, RuleName, RunId, Timestamp};

use crate::limits::{
    REFUSAL_KINDS_PER_RUN_MAX, REFUSAL_PAYLOADS_PER_RUN_MAX, REFUSAL_WINDOW, REFUSALS_SINGLE_MAX,
};
use crate::record::RefusalRecord;
use crate::target::Target;

/// What makes two refusals alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Alike {
    run: RunId,
    code: Code,
    /// `None` once a run has been refused in so many ways that it is guessing: names of tools are the agent's to
    /// invent, and each one invented must not be a kind of its own.
    what: Option<(Target, Option<RuleName>)>,
}

#[derive(Debug)]
struct Window {
    since: Timestamp,
    seen: u64,
    /// Not recorded one by one; the last of them stands for all.
    held_back: Option<RefusalRecord>,
}

/// The refusals of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    windows: HashMap<Alike, Window>,
    /// What each run has used of its bounds.
    used: HashMap<RunId, Used>,
}

#[derive(Debug, Default)]
struct Used {
    windows: usize,
    payload_bytes: usize,
}

impl Refusals {
    /// Whether this one is recorded by itself; otherwise it was counted and is given back by a later
    /// [`Refusals::due`].
    pub(crate) fn is_single(&mut self, record: &RefusalRecord, now: Timestamp) -> bool {
        let mut alike = Alike::of(record);
        let used = self.used.entry(record.subject.run).or_default();
        if !self.windows.contains_key(&alike) && used.windows >= REFUSAL_KINDS_PER_RUN_MAX {
            alike.what = None;
        }
        let window = self.windows.entry(alike).or_insert_with(|| {
            used.windows += 1;
            Window { since: now, seen: 0, held_back: None }
        });
        window.seen += 1;
        if window.seen <= REFUSALS_SINGLE_MAX {
            return true;
        }
        let count = window.held_back.as_ref().map_or(0, |held| held.count) + 1;
        window.held_back = Some(RefusalRecord { count, arguments: None, ..record.clone() });
        false
    }

    /// Whether what was asked for is kept with the refusal: `bytes` of it.
    pub(crate) fn keeps(&mut self, run: RunId, bytes: usize) -> bool {
        let used = self.used.entry(run).or_default();
        let fits = used.payload_bytes + bytes <= REFUSAL_PAYLOADS_PER_RUN_MAX;
        if fits {
            used.payload_bytes += bytes;
        }
        fits
    }

    /// The counted ones whose time has come; all of them when `all`.
    pub(crate) fn due(&mut self, now: Timestamp, all: bool) -> Vec<RefusalRecord> {
        let mut due = Vec::new();
        self.windows.retain(|_, window| {
            let over = all || now.since(window.since) >= REFUSAL_WINDOW;
            if over {
                due.extend(window.held_back.take());
            }
            !over
        });
        let before = std::mem::take(&mut self.used);
        for alike in self.windows.keys() {
            let kept = before.get(&alike.run).map_or(0, |used| used.payload_bytes);
            let used = self.used.entry(alike.run).or_default();
            *used = Used { windows: used.windows + 1, payload_bytes: kept };
        }
        due
    }
}

impl Alike {
    fn of(record: &RefusalRecord) -> Self {
        Self {
            run: record.subject.run,
            code: record.code,
            what: Some((record.subject.target.clone(), record.rule.clone())),
        }
    }
}
