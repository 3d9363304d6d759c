//! Which namespaces this machine gives, found out by making them.

use std::io;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::inside::{Identity, Known, while_dumpable, write_maps};
use crate::layer::{Layer, LayerName, LayerState};
use crate::system::{Cloned, Namespaces, clone_process, enter_namespaces, exit_now};

/// The namespaces to make for every child of a kind, and those that the machine refuses.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Made with the process.
    pub(crate) namespaces: Namespaces,
    /// Entered by it.
    pub(crate) late: Namespaces,
    pub(crate) refused: Vec<Layer>,
}

const WANTED: [(Namespaces, LayerName); 4] = [
    (Namespaces::PROCESS, LayerName::ProcessNamespace),
    (Namespaces::MOUNT, LayerName::MountNamespace),
    (Namespaces::IPC, LayerName::IpcNamespace),
    (Namespaces::HOST, LayerName::HostNamespace),
];

const BOX_WANTED: [(Namespaces, LayerName); 5] =
    [WANTED[0], WANTED[1], WANTED[2], WANTED[3], (Namespaces::NETWORK, LayerName::NetworkNamespace)];

const BOX_LATE: [(Namespaces, LayerName); 2] =
    [(Namespaces::CGROUP, LayerName::CgroupNamespace), (Namespaces::TIME, LayerName::TimeNamespace)];

/// The exit code of a trial that made its namespaces and could not map its user.
const UNMAPPED: i32 = 3;

/// The exit code of a trial that could not enter a namespace later.
const UNENTERED: i32 = 4;

// === impl Plan ===

impl Plan {
    /// For children on the machine's files. Tries, best first: all as a privileged process, all in a user namespace,
    /// each by itself.
    pub(crate) fn for_servers(identity: Identity) -> Self {
        let plan = Self::find(identity, [Namespaces::NONE, Namespaces::USER], &WANTED);
        // A user namespace that gives nothing is only a burden.
        let useless = plan.refused.len() == WANTED.len();
        Self { namespaces: if useless { Namespaces::NONE } else { plan.namespaces }, ..plan }
    }

    /// For children in a root of their own: in a user namespace, also where the node is privileged, so that a program
    /// inside is an ordinary user and has rights over nothing.
    pub(crate) fn for_boxes(identity: Identity) -> Self {
        let mut plan = Self::find(identity, [Namespaces::USER, Namespaces::NONE], &BOX_WANTED);
        for (namespace, name) in BOX_LATE {
            match attempt(plan.namespaces, namespace, identity) {
                Ok(()) => plan.late = plan.late.with(namespace),
                Err(why) => plan.refused.push(Layer { name, state: LayerState::Missing(why) }),
            }
        }
        if !plan.namespaces.has(Namespaces::USER) {
            let why =
                "the machine gives no user namespace; the node is privileged and makes the others without";
            let state = LayerState::Missing(why.to_owned());
            plan.refused.push(Layer { name: LayerName::UserNamespace, state });
        }
        plan
    }

    /// For children without namespaces.
    pub(crate) fn bare() -> Self {
        Self { namespaces: Namespaces::NONE, late: Namespaces::NONE, refused: Vec::new() }
    }

    fn find(identity: Identity, bases: [Namespaces; 2], wanted: &[(Namespaces, LayerName)]) -> Self {
        let all = wanted.iter().fold(Namespaces::NONE, |all, (one, _)| all.with(*one));
        let plan = |namespaces| Self { namespaces, late: Namespaces::NONE, refused: Vec::new() };
        for base in bases {
            if attempt(base.with(all), Namespaces::NONE, identity).is_ok() {
                return plan(base.with(all));
            }
        }
        let user = attempt(Namespaces::USER, Namespaces::NONE, identity).is_ok();
        let mut plan = plan(if user { Namespaces::USER } else { Namespaces::NONE });
        for (namespace, name) in wanted {
            match attempt(plan.namespaces.with(*namespace), Namespaces::NONE, identity) {
                Ok(()) => plan.namespaces = plan.namespaces.with(*namespace),
                Err(why) => plan.refused.push(Layer { name: *name, state: LayerState::Missing(why) }),
            }
        }
        plan
    }
}

/// Makes a process in these namespaces, that enters the late ones and ends at once.
fn attempt(namespaces: Namespaces, late: Namespaces, identity: Identity) -> Result<(), String> {
    let refused = |error: io::Error| format!("the kernel refused the namespace: {error}");
    match clone_process(namespaces).map_err(refused)? {
        Cloned::Child => exit_now(live_shortly(namespaces, late, identity)),
        Cloned::Parent(pid) => judge(pid),
    }
}

fn live_shortly(namespaces: Namespaces, late: Namespaces, identity: Identity) -> i32 {
    let user = namespaces.has(Namespaces::USER);
    if user && while_dumpable(|| write_maps(identity, Known::Itself)).is_err() {
        return UNMAPPED;
    }
    if late != Namespaces::NONE && enter_namespaces(late).is_err() { UNENTERED } else { 0 }
}

fn judge(pid: Pid) -> Result<(), String> {
    let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
    match ended.ok().flatten().and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        Some(UNMAPPED) => {
            Err("the kernel gave a user namespace and refused to map the user in it".to_owned())
        }
        Some(UNENTERED) => Err("the kernel refused the namespace".to_owned()),
        _ => Err("a process in the namespace did not survive".to_owned()),
    }
}
