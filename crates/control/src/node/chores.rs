//! What a node does beside serving.

use std::sync::Arc;
use std::time::Duration;

use ringfence_runs::{ImageName, Rootfs};

use crate::api::Desk;
use crate::audit::Books;

/// How often the index follows the log when there is nothing to hurry for.
const INDEX_INTERVAL: Duration = Duration::from_millis(500);

/// After an error, the index is left alone for so long.
const INDEX_PAUSE: Duration = Duration::from_secs(30);

/// Keeps the index close behind the log until the node stops.
pub(super) async fn index(books: Books) {
    loop {
        let step = books.clone();
        let done = tokio::task::spawn_blocking(move || step.follow()).await;
        let wait = match done {
            Ok(Ok(true)) => Duration::ZERO,
            Ok(Ok(false)) => INDEX_INTERVAL,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the index does not follow the log; questions are answered more slowly");
                INDEX_PAUSE
            }
            // The runtime is stopping.
            Err(_) => return,
        };
        tokio::time::sleep(wait).await;
    }
}

/// How often it is looked what may be forgotten of runs that are over.
const FORGET_INTERVAL: Duration = Duration::from_mins(10);

/// Removes what runs wrote when their workspace keeps it no longer, and the oldest when there is too much, until the node stops.
pub(super) async fn forget_runs(desk: Arc<Desk>) {
    let mut look = tokio::time::interval(FORGET_INTERVAL);
    loop {
        look.tick().await;
        let (desk, runs) = (Arc::clone(&desk), desk.runs.clone());
        let images = images(&desk);
        let forget = move || {
            let setup = desk.kernel.setup();
            // Of a workspace that is gone nothing is removed: the configuration may be the one that is wrong.
            let kept = |workspace: &_| {
                setup.workspaces.get(workspace).map_or(Duration::MAX, |setup| setup.retention)
            };
            desk.runs.prune(kept);
            desk.runs.prune_environments(desk.in_force().compiled.loaded.config.environments.kept);
        };
        if tokio::task::spawn_blocking(forget).await.is_err() {
            return;
        }
        runs.prune_images(&images).await;
        runs.make_room().await;
    }
}

/// The images that the configuration names.
fn images(desk: &Desk) -> Vec<ImageName> {
    let in_force = desk.in_force();
    let workspaces = &in_force.compiled.loaded.config.workspaces;
    let runs =
        workspaces.iter().flat_map(|workspace| &workspace.agents).filter_map(|agent| agent.run.as_ref());
    let named = runs.filter_map(|run| match &run.rootfs {
        Rootfs::Image(name) => Some(name.clone()),
        Rootfs::Machine | Rootfs::Folder(_) => None,
    });
    named.collect()
}
