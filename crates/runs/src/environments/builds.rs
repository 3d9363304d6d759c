//! Environments that are being built: each once for all who wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use ringfence_types::Digest;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::store::InUse;
use super::words::Failure;

/// What became of a build.
pub(super) type Built = Option<Result<Arc<InUse>, Failure>>;

/// Builds under way, as long as somebody waits for them.
#[derive(Default)]
pub(super) struct Builds(Mutex<HashMap<Digest, Weak<Build>>>);

/// A build under way. It is called off when everybody who waits for it has gone.
pub(super) struct Build {
    pub built: watch::Receiver<Built>,
    _stop: DropGuard,
}

/// A build that is to be begun.
pub(super) struct Begun {
    /// Which it is, among those of its key: one that nobody waits for any more may still be on its way to its end.
    which: Weak<Build>,
    tell: watch::Sender<Built>,
    pub stop: CancellationToken,
}

// === impl Builds ===

impl Builds {
    /// The build of this key: one that is under way, or a new one, which is for who asks to begin.
    pub(super) fn join(&self, key: Digest) -> (Arc<Build>, Option<Begun>) {
        let mut builds = self.0.lock();
        if let Some(build) = builds.get(&key).and_then(Weak::upgrade) {
            return (build, None);
        }
        let (tell, built) = watch::channel(None);
        let stop = CancellationToken::new();
        let build = Arc::new(Build { built, _stop: stop.clone().drop_guard() });
        let which = Arc::downgrade(&build);
        builds.insert(key, Weak::clone(&which));
        (build, Some(Begun { which, tell, stop }))
    }

    /// Tells all who wait for it what became of one. Whoever asks from now on finds what there is, or begins anew; a later
    /// build of its key stays.
    pub(super) fn end(&self, key: Digest, begun: &Begun, done: Result<InUse, Failure>) {
        let mut builds = self.0.lock();
        if builds.get(&key).is_some_and(|build| build.ptr_eq(&begun.which)) {
            builds.remove(&key);
        }
        drop(builds);
        begun.tell.send_replace(Some(done.map(Arc::new)));
    }

    /// Forgets those that nobody waits for.
    pub(super) fn prune(&self) {
        self.0.lock().retain(|_, build| build.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_build_leaves_a_later_one_of_its_key_where_it_is() {
        let (builds, key) = (Builds::default(), Digest::of(b"one"));
        let (first, older) = builds.join(key);
        let older = older.unwrap();
        assert!(builds.join(key).1.is_none(), "it is waited for together");
        drop(first);
        assert!(older.stop.is_cancelled(), "nobody waits for it");
        let (second, newer) = builds.join(key);
        let newer = newer.unwrap();
        builds.end(key, &older, Err(Failure::new("called off")));
        assert!(builds.join(key).1.is_none(), "the later one is still waited for");
        assert!(second.built.borrow().is_none() && !newer.stop.is_cancelled());
        builds.end(key, &newer, Err(Failure::new("done")));
        assert!(matches!(&*second.built.borrow(), Some(Err(failure)) if failure.told == "done"));
        assert!(builds.join(key).1.is_some(), "and the next is begun anew");
    }
}
