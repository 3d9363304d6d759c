//! What stands between a child and the machine: named layers, each in force or missing with the reason.

use std::fmt;

/// One layer of isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LayerName {
    /// A PID namespace: everything below the child dies with it, and it sees no process outside.
    ProcessNamespace = 1,
    /// A mount namespace: what is mounted for the child is seen by nobody else.
    MountNamespace = 2,
    /// An IPC namespace: no System V objects or POSIX queues of others.
    IpcNamespace = 3,
    /// A UTS namespace: its own host name.
    HostNamespace = 4,
    /// A `/proc` that shows only the child's own processes.
    PrivateProc = 5,
    /// `/sys` and the kernel's switches below `/proc` are read-only.
    ReadOnlyKernel = 6,
    /// A `/dev` with null, zero, full, random, urandom, terminals and shared memory of its own; no disks.
    PrivateDevices = 7,
    /// A home and temporary folder of its own, bounded, gone with the child.
    PrivateHome = 8,
    /// The hidden paths (the node's data) cannot be read.
    HiddenPaths = 9,
    /// No program gains rights by being executed (`no_new_privs`).
    NoNewPrivileges = 10,
    /// No capability, in any set.
    NoCapabilities = 11,
    /// A Landlock domain: no mounts, no raw devices, no signals or abstract sockets to the outside.
    Landlock = 12,
    /// A seccomp filter without the system calls that reach around the other layers.
    Seccomp = 13,
    /// A user namespace: an ordinary user inside, whoever it is outside.
    UserNamespace = 14,
    /// A network namespace: no way out, or only the gateway's listeners.
    NetworkNamespace = 15,
    /// A cgroup namespace: its place among the machine's cgroups is not shown.
    CgroupNamespace = 16,
    /// A time namespace: the machine's uptime is not shown.
    TimeNamespace = 17,
    /// A root made of what was listed and nothing else.
    PrivateRoot = 18,
    /// A bound on its memory.
    MemoryLimit = 19,
    /// A bound on its processes and threads.
    ProcessLimit = 20,
    /// A bound on its processor time.
    CpuLimit = 21,
    /// It can be paused as a whole, without noticing.
    Freezer = 22,
    /// TCP to every port is seen by the gateway, or there is no network: loopback alone is the child's own.
    TransparentProxy = 23,
    /// Nothing that its program started outlives it, however fast it makes processes.
    SureEnd = 24,
}

/// Whether a layer is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerState {
    /// In force; the text says how, and may be empty.
    InForce(String),
    /// Missing; the text says why, as the machine put it.
    Missing(String),
}

/// One layer and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which layer.
    pub name: LayerName,
    /// In force, or why not.
    pub state: LayerState,
}

/// All layers of one child, each exactly once, in the order of [`LayerName::ALL`]: of a child with a root of its own
/// all there are, of a tool server [`LayerName::TOOL_SERVER`] and what was ordered beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers(Vec<Layer>);

// === impl LayerName ===

impl LayerName {
    /// Every layer, in the order in which people read them.
    pub const ALL: [Self; 24] = [
        Self::ProcessNamespace,
        Self::SureEnd,
        Self::MountNamespace,
        Self::UserNamespace,
        Self::NetworkNamespace,
        Self::TransparentProxy,
        Self::IpcNamespace,
        Self::HostNamespace,
        Self::CgroupNamespace,
        Self::TimeNamespace,
        Self::PrivateRoot,
        Self::PrivateProc,
        Self::ReadOnlyKernel,
        Self::PrivateDevices,
        Self::PrivateHome,
        Self::HiddenPaths,
        Self::NoNewPrivileges,
        Self::NoCapabilities,
        Self::Landlock,
        Self::Seccomp,
        Self::MemoryLimit,
        Self::ProcessLimit,
        Self::CpuLimit,
        Self::Freezer,
    ];

    /// The layers of a child on the machine's files, as stdio tool servers are.
    pub const TOOL_SERVER: [Self; 13] = [
        Self::ProcessNamespace,
        Self::MountNamespace,
        Self::IpcNamespace,
        Self::HostNamespace,
        Self::PrivateProc,
        Self::ReadOnlyKernel,
        Self::PrivateDevices,
        Self::PrivateHome,
        Self::HiddenPaths,
        Self::NoNewPrivileges,
        Self::NoCapabilities,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// The name in logs and in `ringfence doctor`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProcessNamespace => "process-namespace",
            Self::MountNamespace => "mount-namespace",
            Self::IpcNamespace => "ipc-namespace",
            Self::HostNamespace => "host-namespace",
            Self::PrivateProc => "private-proc",
            Self::ReadOnlyKernel => "read-only-kernel",
            Self::PrivateDevices => "private-devices",
            Self::PrivateHome => "private-home",
            Self::HiddenPaths => "hidden-paths",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::NoCapabilities => "no-capabilities",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::UserNamespace => "user-namespace",
            Self::NetworkNamespace => "network-namespace",
            Self::CgroupNamespace => "cgroup-namespace",
            Self::TimeNamespace => "time-namespace",
            Self::PrivateRoot => "private-root",
            Self::MemoryLimit => "memory-limit",
            Self::ProcessLimit => "process-limit",
            Self::CpuLimit => "cpu-limit",
            Self::Freezer => "freezer",
            Self::TransparentProxy => "transparent-proxy",
            Self::SureEnd => "sure-end",
        }
    }

    /// What goes without this layer, in one line.
    pub const fn without(self) -> &'static str {
        match self {
            Self::ProcessNamespace => {
                "a tool server sees other processes, and what it leaves running is hunted down one by one"
            }
            Self::MountNamespace => "nothing can be hidden from a tool server by a mount",
            Self::IpcNamespace => "a tool server shares System V objects with the machine",
            Self::HostNamespace => "a tool server learns the machine's name",
            Self::PrivateProc => "a tool server can list the machine's processes",
            Self::ReadOnlyKernel => "a tool server started by root can change kernel settings",
            Self::PrivateDevices => "a tool server started by root can open the machine's disks",
            Self::PrivateHome => "a tool server's temporary files are unbounded and on the machine's disk",
            Self::HiddenPaths => "a tool server can read the node's data",
            Self::NoNewPrivileges => "a tool server can gain rights through set-user-ID programs",
            Self::NoCapabilities => "a tool server keeps the capabilities of the node",
            Self::Landlock => "one layer less around files, devices and signals",
            Self::Seccomp => "a tool server can use every system call of the kernel",
            Self::UserNamespace => "a run has the user id of the node",
            Self::NetworkNamespace => "a run reaches what the machine reaches; one that must not is refused",
            Self::CgroupNamespace => "a run learns its place among the machine's cgroups",
            Self::TimeNamespace => "a run learns how long the machine has been up",
            Self::PrivateRoot => "no run starts",
            Self::MemoryLimit => "a run can use all of the machine's memory",
            Self::ProcessLimit => "a run can start as many processes as the machine has room for",
            Self::CpuLimit => "a run can keep every processor busy",
            Self::TransparentProxy => {
                "of TCP a run reaches ports 80, 443, 53 and the proxy's; what it tries at others is refused unseen"
            }
            Self::SureEnd => {
                "a run that makes processes without pause can outlast its end, and hide from the looks at its home"
            }
            Self::Freezer => "a run is paused by stop signals, which its programs can notice",
        }
    }

    /// How a machine gets this layer.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ProcessNamespace
            | Self::MountNamespace
            | Self::UserNamespace
            | Self::NetworkNamespace
            | Self::IpcNamespace
            | Self::HostNamespace
            | Self::CgroupNamespace
            | Self::PrivateRoot
            | Self::PrivateDevices => {
                "allow unprivileged user namespaces (sysctl user.max_user_namespaces above 0, \
                 kernel.unprivileged_userns_clone=1; on Ubuntu an AppArmor profile for ringfence with `userns,`), \
                 or run the node as root with CAP_SYS_ADMIN; a run can do without, with `driver: restricted` and without network"
            }
            Self::PrivateProc | Self::ReadOnlyKernel => {
                "needs the mount and process namespaces; inside a container, one whose /proc is not masked \
                 (podman: --security-opt unmask=ALL)"
            }
            Self::PrivateHome => {
                "needs the mount namespace and a temporary folder that the node can write to"
            }
            Self::HiddenPaths => "needs the mount namespace or Landlock",
            Self::NoNewPrivileges => "needs Linux 3.5 or newer",
            Self::NoCapabilities => "start the node with CAP_SETPCAP, or without any capability",
            Self::Landlock => {
                "Linux 5.13 or newer with Landlock enabled (CONFIG_SECURITY_LANDLOCK, `landlock` in the lsm= boot list)"
            }
            Self::Seccomp => "a kernel with CONFIG_SECCOMP_FILTER",
            Self::TimeNamespace => "Linux 5.6 or newer (CONFIG_TIME_NS), and user namespaces as above",
            Self::MemoryLimit | Self::CpuLimit => {
                "a bound in `limits`, and a cgroup of its own that the node may write to: run it as a systemd service \
                 with `Delegate=yes`"
            }
            Self::ProcessLimit => {
                "a bound in `limits`, and a cgroup that the node may write to (a systemd service with `Delegate=yes`) or a \
                 node that is not root"
            }
            Self::TransparentProxy => {
                "Linux 5.0 or newer with nf_tables (CONFIG_NFT_TPROXY, CONFIG_NFT_SOCKET); where they are modules, \
                 load them at boot (modules-load.d: nft_tproxy, nft_socket)"
            }
            Self::SureEnd => {
                "process namespaces as above; with `driver: restricted`, a node that no supervisor of system calls is above \
                 (seccomp_unotify, as of LXD)"
            }
            Self::Freezer => {
                "a cgroup that the node may write to (a systemd service with `Delegate=yes`), cgroup v2 or the v1 freezer"
            }
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|name| *name as u8 == code)
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Layer ===

impl Layer {
    /// Whether it is in force.
    pub const fn in_force(&self) -> bool {
        matches!(self.state, LayerState::InForce(_))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            LayerState::InForce(how) if how.is_empty() => write!(f, "{}: in force", self.name),
            LayerState::InForce(how) => write!(f, "{}: in force ({how})", self.name),
            LayerState::Missing(why) => write!(f, "{}: missing ({why})", self.name),
        }
    }
}

// === impl Layers ===

impl Layers {
    /// The named layers from what was found out; one that nobody reported is missing, never assumed.
    pub(crate) fn new(found: Vec<Layer>, names: impl IntoIterator<Item = LayerName>) -> Self {
        let mut states: std::collections::BTreeMap<LayerName, LayerState> = std::collections::BTreeMap::new();
        for layer in found {
            states.insert(layer.name, layer.state);
        }
        let complete = |name| Layer {
            name,
            state: states.remove(&name).unwrap_or_else(|| LayerState::Missing("not reported".to_owned())),
        };
        Self(names.into_iter().map(complete).collect())
    }

    /// Layers all missing, for one reason.
    pub(crate) fn all_missing(why: &str) -> Self {
        let missing = |name| Layer { name, state: LayerState::Missing(why.to_owned()) };
        Self(LayerName::ALL.into_iter().map(missing).collect())
    }

    /// These, and of `more` those that these do not name; one that is missing in `more` is missing, which is said to
    /// be so for runs.
    pub(crate) fn and(&self, more: &Self) -> Self {
        let both = |other: &Layer| {
            let own = self.0.iter().find(|layer| layer.name == other.name);
            match (own, &other.state) {
                (None, _) => other.clone(),
                (Some(own), LayerState::Missing(why)) if own.in_force() => {
                    Layer { name: own.name, state: LayerState::Missing(format!("for runs: {why}")) }
                }
                (Some(own), _) => own.clone(),
            }
        };
        Self(more.0.iter().map(both).collect())
    }

    /// Each by its name with how it stands, as logs and people are told.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.iter().map(|layer| {
            let state = match &layer.state {
                LayerState::InForce(how) if how.is_empty() => "in force".to_owned(),
                LayerState::InForce(how) => format!("in force: {how}"),
                LayerState::Missing(why) => format!("missing: {why}"),
            };
            (layer.name.as_str(), state)
        })
    }

    /// All layers, each once.
    pub fn iter(&self) -> impl Iterator<Item = &Layer> {
        self.0.iter()
    }

    /// The layers that are not in force.
    pub fn missing(&self) -> impl Iterator<Item = &Layer> {
        self.0.iter().filter(|layer| !layer.in_force())
    }

    /// Whether every layer is in force.
    pub fn complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Whether the named layer is in force.
    pub fn in_force(&self, name: LayerName) -> bool {
        self.0.iter().any(|layer| layer.name == name && layer.in_force())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_nobody_reported_is_missing() {
        let layers = Layers::new(
            vec![Layer { name: LayerName::Seccomp, state: LayerState::InForce(String::new()) }],
            LayerName::ALL,
        );
        assert_eq!(layers.iter().count(), LayerName::ALL.len());
        assert!(layers.in_force(LayerName::Seccomp));
        assert!(!layers.in_force(LayerName::Landlock));
        assert!(!layers.complete());
        assert_eq!(layers.missing().count(), LayerName::ALL.len() - 1);
    }

    #[test]
    fn codes_are_distinct_and_come_back() {
        for name in LayerName::ALL {
            assert_eq!(LayerName::from_code(name as u8), Some(name));
        }
        assert_eq!(LayerName::from_code(0), None);
        assert_eq!(LayerName::from_code(25), None);
    }
}
