//! Which namespaces this machine gives, found out by making them.

use std::io;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::inside::{Identity, write_maps};
use crate::layer::{Layer, LayerName, LayerState};
use crate::system::{Cloned, Namespaces, clone_process, exit_now};

/// The namespaces to make for every child, and those that the machine refuses.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) namespaces: Namespaces,
    pub(crate) refused: Vec<Layer>,
}

const WANTED: [(Namespaces, LayerName); 4] = [
    (Namespaces::PROCESS, LayerName::ProcessNamespace),
    (Namespaces::MOUNT, LayerName::MountNamespace),
    (Namespaces::IPC, LayerName::IpcNamespace),
    (Namespaces::HOST, LayerName::HostNamespace),
];

/// The exit code of a trial that made its namespaces and could not map its user.
const UNMAPPED: i32 = 3;

// === impl Plan ===

impl Plan {
    /// Tries, best first: all as a privileged process, all in a user namespace, each by itself.
    pub(crate) fn find(identity: Identity) -> Self {
        let all = WANTED.iter().fold(Namespaces::NONE, |all, (one, _)| all.with(*one));
        for base in [Namespaces::NONE, Namespaces::USER] {
            if attempt(base.with(all), identity).is_ok() {
                return Self { namespaces: base.with(all), refused: Vec::new() };
            }
        }
        let base =
            if attempt(Namespaces::USER, identity).is_ok() { Namespaces::USER } else { Namespaces::NONE };
        let mut plan = Self { namespaces: base, refused: Vec::new() };
        for (namespace, name) in WANTED {
            match attempt(plan.namespaces.with(namespace), identity) {
                Ok(()) => plan.namespaces = plan.namespaces.with(namespace),
                Err(why) => plan.refused.push(Layer { name, state: LayerState::Missing(why) }),
            }
        }
        // A user namespace that gives nothing is only a burden.
        if plan.refused.len() == WANTED.len() {
            plan.namespaces = Namespaces::NONE;
        }
        plan
    }
}

/// Makes a process in these namespaces, that ends at once.
fn attempt(namespaces: Namespaces, identity: Identity) -> Result<(), String> {
    let refused = |error: io::Error| format!("the kernel refused the namespace: {error}");
    match clone_process(namespaces).map_err(refused)? {
        Cloned::Child => {
            let mapped = !namespaces.has(Namespaces::USER) || write_maps(identity).is_ok();
            exit_now(if mapped { 0 } else { UNMAPPED })
        }
        Cloned::Parent(pid) => judge(pid),
    }
}

fn judge(pid: Pid) -> Result<(), String> {
    let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
    match ended.ok().flatten().and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        Some(UNMAPPED) => {
            Err("the kernel gave a user namespace and refused to map the user in it".to_owned())
        }
        _ => Err("a process in the namespace did not survive".to_owned()),
    }
}
