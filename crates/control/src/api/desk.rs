//! What the handlers work on: the node, as its operators see it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use ringfence_json::Object;
use ringfence_kernel::Kernel;
use ringfence_runs::Runs;
use ringfence_types::{NodeName, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::guard::{self, Credential};
use super::logins::FailedLogins;
use crate::audit::Books;
use crate::compile::Compiled;
use crate::node::Reloader;
use crate::{People, Power};

/// A configuration in force.
pub(crate) struct InForce {
    /// It.
    pub compiled: Compiled,
    /// The people it names.
    pub people: People,
    /// Since when.
    pub since: Timestamp,
    /// How often definitions had been taken as right when it was held against them.
    pub pin_changes: u64,
}

/// A configuration that was refused while another stays in force.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// When.
    pub at: Timestamp,
    /// Why: one line.
    pub cause: String,
}

/// The node, as its operators see it.
pub(crate) struct Desk {
    pub node: NodeName,
    pub kernel: Kernel,
    pub books: Books,
    pub runs: Runs,
    pub reloader: Reloader,
    /// Where agents come in, where operators do.
    pub addresses: Addresses,
    pub in_force: ArcSwap<InForce>,
    pub refused: Mutex<Option<Refused>>,
    /// One for each follower of the log.
    pub followers: Arc<Semaphore>,
    /// Requests of nobody who is known.
    pub failed_logins: FailedLogins,
    /// What can be asked, for programs.
    pub description: Object,
    /// Layers of isolation that this machine refuses to stdio servers: name and reason.
    pub missing_layers: Vec<(String, String)>,
    /// Cancelled once all servers were asked for their tools, or that has taken long enough: what is asked about tools
    /// right after a start waits for it.
    pub looked: CancellationToken,
}

/// Where the node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For agents: a URL.
    pub gateway: String,
    /// For operators: a URL.
    pub control: String,
    /// For operators on this machine: a path.
    pub socket: std::path::PathBuf,
}

// === impl Desk ===

impl Desk {
    /// The configuration in force.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Whether a credential still lets somebody look: a reload may have taken it away.
    pub fn still_lets_look(&self, credential: Credential) -> bool {
        let person = guard::authenticate(credential, &self.in_force().people);
        person.is_ok_and(|person| person.may(Power::View))
    }
}
