//! A run that is no longer known, as the log tells it.

use ringfence_json::Object;
use ringfence_types::{EntryKind, RunId};

use crate::RunView;
use crate::fold::Fold;
use crate::record::Record;
use crate::views::run_view;

impl RunView {
    /// A run as entries of the kinds `token` and `run` tell it, in the order of the log; `None` where they do not say that it
    /// began. What it did is told by others, so that its counts are 0.
    pub fn told_by<'e>(run: RunId, entries: impl IntoIterator<Item = &'e Object>) -> Option<Self> {
        let mut fold = Fold::default();
        for entry in entries {
            let at = entry.text("at").and_then(|at| at.parse().ok());
            let kind = entry.text("kind").and_then(|kind| kind.parse().ok());
            let Some((at, kind @ (EntryKind::Token | EntryKind::Run))) = at.zip(kind) else { continue };
            if let Ok(Some(record)) = Record::read(kind, entry) {
                fold.apply(fold.next, at, &record);
            }
        }
        fold.runs.get(run).map(|known| run_view(&fold, known, 0))
    }
}
