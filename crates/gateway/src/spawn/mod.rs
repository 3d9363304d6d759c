//! Runs that runs start: asked for by a tool ([`tools`]) or over HTTP ([`web`]), decided by the kernel, started by the
//! [`Nursery`].

mod shown;
mod start;
pub(crate) mod tools;
pub(crate) mod web;

use std::fmt;
use std::sync::{Arc, OnceLock};

use ringfence_kernel::Nursery;

/// Whoever starts runs, once that is known.
#[derive(Default)]
pub(crate) struct Nurseries(OnceLock<Arc<dyn Nursery>>);

// === impl Nurseries ===

impl Nurseries {
    /// The first one stays.
    pub(crate) fn set(&self, nursery: Arc<dyn Nursery>) {
        let _ = self.0.set(nursery);
    }

    fn get(&self) -> Option<&Arc<dyn Nursery>> {
        self.0.get()
    }
}

impl fmt::Debug for Nurseries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nurseries").field("is_set", &self.0.get().is_some()).finish()
    }
}
