//! Forgetting what runs wrote and left: when its time is over, and when there is too much of it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use ringfence_kernel::{Actor, FilesEvent, FilesOf};
use ringfence_types::{RunId, WorkspaceName};

use crate::Runs;
use crate::artifacts::{FOLDER, forget_unused, on_disk};
use crate::limits::{RUNS_BYTES_MAX, RUNS_DISK_PERCENT, RUNS_LEFT_PERCENT};
use crate::runs::{Inner, OUTPUT, folders};

/// What is on the disk of one run.
struct Kept {
    run: RunId,
    folder: PathBuf,
    ended: SystemTime,
    /// Bytes that are free when it is gone.
    bytes: u64,
}

// === impl Runs ===

impl Runs {
    /// Removes what was written and left by runs that are over for longer than `kept` says for their workspace. Blocks.
    pub fn prune(&self, kept: impl Fn(&WorkspaceName) -> Duration) {
        let now = SystemTime::now();
        for (workspace, folder) in folders(&self.0.directory) {
            let Ok(workspace) = WorkspaceName::new(&workspace) else { continue };
            for run in kept_in(&folder, &mut HashSet::new()) {
                let age = now.duration_since(run.ended).unwrap_or_default();
                if age > kept(&workspace) && !self.is_living(run.run) {
                    // What cannot be removed now is tried again.
                    let _ = fs::remove_dir_all(run.folder);
                }
            }
            forget_unused(&folder);
        }
    }

    /// Bytes of what runs wrote and left that are kept, as far as it was counted, and how many there may be.
    pub fn kept_bytes(&self) -> (u64, u64) {
        (self.0.kept_bytes.load(Ordering::Relaxed), self.0.most_bytes())
    }

    /// Removes the output of the oldest runs that are over, if there is more than may be kept, and says so in the log.
    pub async fn make_room(&self) {
        self.0.make_room().await;
    }
}

// === impl Inner ===

impl Inner {
    /// Counts what a run left; makes room when there is too much.
    pub(crate) async fn has_left(&self, bytes: u64) {
        let all = self.kept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all > self.most_bytes() {
            self.make_room().await;
        }
    }

    async fn make_room(&self) {
        // One at a time; who comes meanwhile has nothing to do.
        let Ok(_alone) = self.making_room.try_lock() else { return };
        let (directory, most) = (self.directory.clone(), self.most_bytes());
        let living: HashSet<RunId> = self.living.lock().keys().copied().collect();
        let removing = tokio::task::spawn_blocking(move || remove_oldest(&directory, most, &living));
        let Ok((left, runs, bytes)) = removing.await else { return };
        self.kept_bytes.store(left, Ordering::Relaxed);
        if runs > 0 {
            let of = FilesOf { workspace: None, agent: None, run: None };
            let said = self.kernel.record_files(of, FilesEvent::Pruned { runs, bytes }, &Actor::node()).await;
            if said.is_err() {
                tracing::warn!(
                    runs,
                    bytes,
                    "the output of the oldest runs was removed, and the log cannot take that"
                );
            }
        }
    }

    /// Bytes that may be kept of what runs wrote and left.
    pub(crate) fn most_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.directory);
        let part = disk.map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize) / 100 * RUNS_DISK_PERCENT);
        part.unwrap_or(RUNS_BYTES_MAX).min(RUNS_BYTES_MAX)
    }
}

/// Removes the oldest runs until there is less than may be kept: bytes that are left, and how many of what were removed.
fn remove_oldest(directory: &Path, most: u64, living: &HashSet<RunId>) -> (u64, u64, u64) {
    let mut known = HashSet::new();
    let workspaces: Vec<PathBuf> = folders(directory).into_iter().map(|(_, folder)| folder).collect();
    let mut all: Vec<Kept> = workspaces.iter().flat_map(|folder| kept_in(folder, &mut known)).collect();
    let total: u64 = all.iter().map(|run| run.bytes).sum();
    let mut removed = (0, 0);
    if total > most {
        let enough = most / 100 * RUNS_LEFT_PERCENT;
        all.sort_by_key(|run| run.ended);
        for run in all.iter().filter(|run| !living.contains(&run.run)) {
            if total - removed.1 <= enough {
                break;
            }
            if fs::remove_dir_all(&run.folder).is_ok() {
                removed = (removed.0 + 1, removed.1 + run.bytes);
            }
        }
        for workspace in &workspaces {
            forget_unused(workspace);
        }
    }
    (total - removed.1, removed.0, removed.1)
}

/// What there is of the runs of one workspace. What several have left alike counts once, `known` says what was counted.
fn kept_in(workspace: &Path, known: &mut HashSet<u64>) -> Vec<Kept> {
    let runs = folders(workspace).into_iter().filter_map(|(name, folder)| Some((name.parse().ok()?, folder)));
    let kept = runs.map(|(run, folder): (RunId, PathBuf)| {
        let written = fs::metadata(folder.join(OUTPUT)).or_else(|_| fs::metadata(&folder));
        let ended = written.and_then(|written| written.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let files = [folder.clone(), folder.join(FOLDER)];
        let files = files.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let files = files.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
        let bytes = files.filter(|file| known.insert(file.ino())).map(|file| on_disk(&file)).sum();
        Kept { run, folder, ended, bytes }
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringfence_types::Timestamp;

    use super::*;
    use crate::limits::FILE_BYTES;

    fn run(number: u8) -> RunId {
        RunId::new(Timestamp::default(), [number; 10])
    }

    /// A run that wrote 100 KiB so many minutes ago.
    fn write(workspace: &Path, number: u8, minutes: u64) -> PathBuf {
        let folder = workspace.join(run(number).to_string());
        fs::create_dir_all(&folder).unwrap();
        let file = fs::File::create(folder.join(OUTPUT)).unwrap();
        fs::write(folder.join(OUTPUT), vec![1; 100 << 10]).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_mins(minutes)).unwrap();
        folder
    }

    #[test]
    fn the_oldest_go_first_those_that_run_stay_and_what_is_shared_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let (lab, research) = (folder.path().join("lab"), folder.path().join("research"));
        let old = write(&lab, 1, 50);
        let oldest_lives = write(&research, 2, 60);
        let newer = write(&research, 3, 10);
        let newest = write(&lab, 4, 5);
        for (folder, made) in [(&old, true), (&newest, false)] {
            fs::create_dir_all(folder.join(FOLDER)).unwrap();
            fs::create_dir_all(lab.join(FOLDER)).unwrap();
            if made {
                fs::write(lab.join(FOLDER).join("same"), vec![2; 100 << 10]).unwrap();
                fs::write(folder.join(FOLDER).join("own"), vec![2; 12 << 10]).unwrap();
                fs::hard_link(folder.join(FOLDER).join("own"), lab.join(FOLDER).join("own")).unwrap();
            }
            fs::hard_link(lab.join(FOLDER).join("same"), folder.join(FOLDER).join("same")).unwrap();
        }
        let living = HashSet::from([run(2)]);
        // 512 KiB in six files: enough room, then not.
        let all = (512 << 10) + 6 * FILE_BYTES;
        assert_eq!(remove_oldest(folder.path(), 540 << 10, &living), (all, 0, 0));
        let (left, runs, bytes) = remove_oldest(folder.path(), 524 << 10, &living);
        assert_eq!((left + bytes, runs), (all, 1));
        assert!(!old.exists() && oldest_lives.exists() && newer.exists() && newest.exists());
        assert!(!lab.join(FOLDER).join("own").exists(), "nobody has it any more");
        assert!(lab.join(FOLDER).join("same").exists() && newest.join(FOLDER).join("same").exists());
        let (_, runs, _) = remove_oldest(folder.path(), 0, &living);
        assert_eq!(runs, 2);
        assert!(oldest_lives.exists() && !newer.exists() && !newest.exists());
    }
}
