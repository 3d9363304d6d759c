//! Putting a changed configuration into force, or keeping the old one.

use std::path::PathBuf;
use std::sync::Arc;

use ringfence_gateway::Gateway;
use ringfence_gateway::targets::Targets;
use ringfence_kernel::{Actor, LedgerUnavailable};
use ringfence_types::Digest;

use super::agents::discover;
use crate::api::{Desk, InForce, Refused};
use crate::compile::{Compiled, compile};
use crate::config::{Rejected, load};
use crate::setup::{SetupError, gateway_table, kernel_setup, known_tools, run_bounds, run_plans};
use crate::{People, Person};

/// Reads the configuration again when asked; one reload at a time.
pub(crate) struct Reloader {
    path: PathBuf,
    targets: Targets,
    gateway: Gateway,
    one_at_a_time: tokio::sync::Mutex<()>,
}

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloaded {
    /// Whether anything is different.
    pub changed: bool,
    /// Of the configuration now in force.
    pub digest: Digest,
}

/// Why the old configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It is wrong.
    #[error("the configuration was refused: {0}")]
    Rejected(#[from] Rejected),
    /// A part of it cannot be used.
    #[error("the configuration was refused: {0}")]
    Setup(#[from] SetupError),
    /// It is right, and cannot be recorded.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

// === impl Reloader ===

impl Reloader {
    pub(crate) fn new(path: PathBuf, targets: Targets, gateway: Gateway) -> Self {
        Self { path, targets, gateway, one_at_a_time: tokio::sync::Mutex::new(()) }
    }

    /// Reads the files and puts them into force.
    ///
    /// # Errors
    /// When they are wrong or the log cannot take the change; the old configuration then stays, and `status` says so.
    pub(crate) async fn reload(&self, desk: &Desk, by: &Actor) -> Result<Reloaded, ReloadError> {
        let _turn = self.one_at_a_time.lock().await;
        let done = self.attempt(desk, by).await;
        self.remember(desk, done.as_ref().err());
        done
    }

    async fn attempt(&self, desk: &Desk, by: &Actor) -> Result<Reloaded, ReloadError> {
        let loaded = load(&self.path)?;
        let pin_changes = desk.kernel.pin_changes();
        let tools = known_tools(&loaded.config.workspaces, &desk.kernel.pins());
        let compiled = compile(loaded, &tools)?;
        let (setup, table) = (kernel_setup(&compiled)?, gateway_table(&compiled)?);
        let digest = compiled.loaded.digest;
        let before = desk.in_force();
        let changed = digest != before.compiled.loaded.digest;
        // Before the kernel decides anything by it, and also when no text changed: a secret in a file may have.
        self.targets.prepare(digest, table);
        desk.runs.prepare(digest, run_plans(&compiled.loaded.config));
        if changed || pin_changes != before.pin_changes {
            desk.kernel.apply(setup, by).await?;
        }
        self.targets.switch(digest);
        desk.runs.bound(run_bounds(&compiled.loaded.config));
        if changed || pin_changes != before.pin_changes {
            for warning in compiled.warnings.iter().map(|warning| &warning.message) {
                tracing::warn!("{warning}; `ringfence check` says where");
            }
        }
        let since = if changed { desk.kernel.now() } else { before.since };
        desk.in_force.store(Arc::new(in_force(compiled, since, pin_changes)));
        if changed {
            // Servers may be new.
            discover(&self.gateway);
        }
        Ok(Reloaded { changed, digest })
    }

    fn remember(&self, desk: &Desk, error: Option<&ReloadError>) {
        let cause = error.map(ToString::to_string);
        let mut refused = desk.refused.lock();
        let is_news = refused.as_ref().map(|refused| &refused.cause) != cause.as_ref();
        match cause {
            Some(cause) if is_news => {
                tracing::error!(file = %self.path.display(), "{cause}; the old configuration stays in force");
                *refused = Some(Refused { at: desk.kernel.now(), cause });
            }
            Some(_) => {}
            None => *refused = None,
        }
    }
}

/// A compiled configuration with its people, in force from now on.
pub(crate) fn in_force(compiled: Compiled, since: ringfence_types::Timestamp, pin_changes: u64) -> InForce {
    let people = People::new(&compiled.loaded.config.people);
    InForce { compiled, people, since, pin_changes }
}

impl From<&Person> for Actor {
    fn from(person: &Person) -> Self {
        Self { person: person.name.clone(), roles: person.roles.clone(), owner: person.owner }
    }
}
