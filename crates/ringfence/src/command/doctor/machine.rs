//! The machine itself: kernel, files, disk, clock.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Resource, getrlimit};

use super::{Finding, State};

const SECTION: &str = "machine";

/// A node with fewer open files refuses connections under load.
const FILES_WANTED: u64 = 4096;

/// Less free disk than this is soon full.
const DISK_WANTED_BYTES: u64 = 1 << 30;

/// Writes that are measured.
const SYNCS: usize = 20;

/// A sync slower than this is felt by every call.
const SYNC_WANTED: Duration = Duration::from_millis(10);

/// No clock of a machine that works shows less than 2026-01-01, so many seconds after 1970.
const CLOCK_LEAST_SECONDS: u64 = 1_767_225_600;

/// Everything about the machine; `folder` is where the data of a node goes.
pub fn findings(folder: &Path) -> Vec<Finding> {
    let place = existing(folder);
    vec![kernel(), files(), disk(&place), sync(&place), clock()]
}

fn finding(name: &str, state: State, detail: String, remedy: &str) -> Finding {
    let remedy = (state != State::Good).then(|| remedy.to_owned());
    Finding { section: SECTION, name: name.to_owned(), state, detail, remedy }
}

/// The folder, or the nearest above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let above = folder.ancestors().find(|path| path.is_dir());
    above.unwrap_or(Path::new("/")).to_path_buf()
}

fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let detail = format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
    finding("kernel", State::Good, detail, "")
}

fn files() -> Finding {
    let limit = getrlimit(Resource::Nofile).maximum;
    let state = if limit.is_some_and(|limit| limit < FILES_WANTED) { State::Less } else { State::Good };
    let detail = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("at most {limit}"));
    let remedy = format!("LimitNOFILE={FILES_WANTED} in the systemd unit, or `ulimit -Hn` before `up`");
    finding("open files", state, detail, &remedy)
}

fn disk(place: &Path) -> Finding {
    match rustix::fs::statvfs(place) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let state = if free < DISK_WANTED_BYTES { State::Less } else { State::Good };
            let detail = format!("{} MiB free at {}", free >> 20, place.display());
            finding(
                "disk",
                state,
                detail,
                "free some, or put the data elsewhere with --data; a full disk refuses actions",
            )
        }
        Err(error) => {
            finding("disk", State::Broken, format!("{}: {error}", place.display()), "pass another --data")
        }
    }
}

/// Every action waits for one sync: how long is that here?
fn sync(place: &Path) -> Finding {
    match syncs(place) {
        Ok(mut times) => {
            times.sort_unstable();
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            let slowest = times.last().copied().unwrap_or_default();
            let state = if median > SYNC_WANTED { State::Less } else { State::Good };
            let detail = format!(
                "p50 {:.2} ms, slowest of {SYNCS} {:.2} ms, at {}",
                median.as_secs_f64() * 1e3,
                slowest.as_secs_f64() * 1e3,
                place.display()
            );
            finding(
                "sync to disk",
                state,
                detail,
                "put the data on a local SSD with --data; every action waits for one sync",
            )
        }
        Err(error) => {
            let detail = format!("cannot write at {}: {error}", place.display());
            finding(
                "sync to disk",
                State::Broken,
                detail,
                "pass another --data, or give this user the folder",
            )
        }
    }
}

fn syncs(place: &Path) -> std::io::Result<Vec<Duration>> {
    let path = place.join(format!(".ringfence-doctor-{}", std::process::id()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let measured = file.and_then(|mut file| {
        (0..SYNCS)
            .map(|_| {
                file.write_all(&[0; 512])?;
                let started = Instant::now();
                file.sync_data()?;
                Ok(started.elapsed())
            })
            .collect()
    });
    // Left behind, it is a small file with a telling name.
    let _ = std::fs::remove_file(&path);
    measured
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let shown = ringfence_types::Timestamp::from_micros(micros).to_string();
    let state = if now.as_secs() < CLOCK_LEAST_SECONDS { State::Less } else { State::Good };
    finding("clock", state, shown, "set it, by NTP at best: the log's moments come from it")
}
