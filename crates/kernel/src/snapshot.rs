//! Snapshots: the fold in a file, vouched for by an entry of the log.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ringfence_json::{Limits, Value, parse};
use ringfence_ledger::{Ledger, RoomFor};
use ringfence_types::Digest;

use crate::fold::Fold;
use crate::kernel::Inner;
use crate::limits::SNAPSHOT_ENTRIES;
use crate::record::{Record, SnapshotRecord};
use crate::recover::read_entry;

/// What a snapshot may be at most; a fold is bounded by the kernel's own limits.
const DOCUMENT_LIMITS: Limits = Limits { bytes: 1 << 30, depth: 96, values: 50_000_000, number_bytes: 256 };

/// Snapshots that are kept: the newest, and one to fall back on.
const KEPT: usize = 2;

impl Inner {
    /// Writes a snapshot, if enough has happened since the last.
    pub(crate) async fn snapshot_if_due(&self) {
        let next = self.state.lock().fold.next;
        let last = files(&self.directory).first().map_or(0, |(covers, _)| *covers);
        if next.saturating_sub(last) >= SNAPSHOT_ENTRIES {
            self.snapshot().await;
        }
    }

    /// Writes a snapshot. One that cannot be written costs a longer start, nothing else.
    pub(crate) async fn snapshot(&self) {
        let (fold, incarnation) = {
            let mut state = self.state.lock();
            let now = self.clock.now();
            state.fold.prune(now);
            (state.fold.clone(), state.journal.incarnation())
        };
        // All that the snapshot covers must be durable before the log vouches for it.
        if self.ledger.durable() < fold.next && !self.wait_durable(fold.next).await {
            return;
        }
        let directory = self.directory.clone();
        // Formats, writes and syncs; nobody is to wait for that.
        let writing = tokio::task::spawn_blocking(move || {
            let text = fold.to_document().to_canonical();
            let record = SnapshotRecord { covers: fold.next, digest: Digest::of(&text) };
            write(&directory, fold.next, &text).map(|()| record)
        });
        let record = match writing.await {
            Ok(Ok(record)) => record,
            Ok(Err(error)) => {
                tracing::warn!(%error, "no snapshot was written; the next start reads more of the log");
                return;
            }
            // The runtime is stopping.
            Err(_) => return,
        };
        let mut state = self.state.lock();
        // The log may have failed meanwhile, lost entries that the snapshot has, and given their places to others.
        if state.journal.incarnation() != incarnation || state.journal.is_spent() {
            return;
        }
        // Without this entry the file is not believed.
        let _ = state.commit(&self.clock, &Record::Snapshot(record), Vec::new(), RoomFor::New);
    }

    /// Waits, within bounds, until the first `next` entries are durable.
    pub(crate) async fn wait_durable(&self, next: u64) -> bool {
        for _ in 0..500 {
            if self.ledger.durable() >= next {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    }
}

/// The newest snapshot whose digest stands in the log.
pub(crate) fn newest(ledger: &Ledger, directory: &Path) -> Option<Fold> {
    files(directory).into_iter().find_map(|(covers, path)| {
        let text = fs::read(path).ok()?;
        vouched(ledger, covers, Digest::of(&text)).then_some(())?;
        let document = parse(&text, &DOCUMENT_LIMITS).ok().and_then(Value::into_object)?;
        Fold::from_document(&document).ok().filter(|fold| fold.next == covers)
    })
}

/// Whether an entry at or soon after `covers` says that the snapshot has this digest. Entries that came while the
/// snapshot was written stand in between.
fn vouched(ledger: &Ledger, covers: u64, digest: Digest) -> bool {
    let Ok(entries) = ledger.read(covers) else { return false };
    entries.map_while(Result::ok).any(|entry| {
        matches!(read_entry(&entry.bytes), Ok((_, Some(Record::Snapshot(record))))
            if record.covers == covers && record.digest == digest)
    })
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("snapshots")
}

/// The snapshots there are, newest first, with the number of entries each covers.
fn files(directory: &Path) -> Vec<(u64, PathBuf)> {
    let listed = fs::read_dir(folder(directory)).into_iter().flatten().filter_map(|file| {
        let path = file.ok()?.path();
        let covers = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
        Some((covers, path))
    });
    let mut files: Vec<(u64, PathBuf)> = listed.collect();
    files.sort_by(|left, right| right.cmp(left));
    files
}

fn write(directory: &Path, covers: u64, text: &[u8]) -> io::Result<()> {
    let folder = folder(directory);
    fs::create_dir_all(&folder)?;
    let unfinished = folder.join("unfinished");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(format!("{covers}.json")))?;
    File::open(&folder)?.sync_all()?;
    for (_, old) in files(directory).into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}
