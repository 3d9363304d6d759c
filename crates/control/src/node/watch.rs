//! Noticing that a file of the configuration changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use ringfence_kernel::Actor;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::Desk;
use crate::config::secret_files;
use crate::limits::WATCH_INTERVAL;

/// What a file looks like from outside: enough to notice a change.
type Look = Option<(SystemTime, u64)>;

/// Looks every second and reloads when a file of the configuration looks different, when a tool's definition was taken
/// as the right one, or while a file was refused: what was missing may have come.
pub(super) async fn watch(desk: Arc<Desk>) {
    let mut ticks = interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nothing known yet, so the first look reads them all again: they may have changed since they were loaded.
    let mut known = Vec::new();
    loop {
        ticks.tick().await;
        let seen = look(&desk).await;
        let is_refused = desk.refused.lock().is_some();
        let has_new_pins = desk.kernel.pin_changes() != desk.in_force().pin_changes;
        if seen == known && !is_refused && !has_new_pins {
            continue;
        }
        let reloaded = desk.reloader.reload(&desk, &Actor::node()).await;
        if let Ok(reloaded) = &reloaded
            && (reloaded.changed || is_refused)
        {
            tracing::info!(digest = %reloaded.digest.short(), "the configuration was reloaded");
        }
        // What is watched may be other files now; a change while they were read is noticed by the old look.
        known = if reloaded.is_ok_and(|reloaded| reloaded.changed) { look(&desk).await } else { seen };
    }
}

async fn look(desk: &Desk) -> Vec<(PathBuf, Look)> {
    let in_force = desk.in_force();
    let loaded = &in_force.compiled.loaded;
    let mut paths: Vec<PathBuf> = loaded.sources.iter().map(|source| source.path.clone()).collect();
    paths.extend(secret_files(&loaded.config));
    // A slow disk must not hold up those who are served.
    let looking = tokio::task::spawn_blocking(move || {
        let look = |path: PathBuf| {
            let metadata = std::fs::metadata(&path).ok();
            let look = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
            (path, look)
        };
        paths.into_iter().map(look).collect()
    });
    looking.await.unwrap_or_default()
}
