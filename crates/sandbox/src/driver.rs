//! Drivers: the ways in which a child is kept apart from the machine, behind one trait.
//!
//! Each makes a sandbox, whole ([`Driver::create`]), and says which layers it has ([`Driver::probe`]); what can be done
//! with it then is the same for all: [`Created::exec`], and of the [`crate::Child`] that comes of it `pause`, `resume`,
//! `signal`, `stats` and `kill`. To destroy one is to drop it: nothing of it is left then.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::command::{Command, Limits};
use crate::error::SpawnError;
use crate::layer::Layers;
use crate::network::Network;
use crate::node::{Child, Created, Spawner};
use crate::oci::{self, Kind, Runtime};
use crate::root::Root;

/// A driver, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriverName {
    /// Namespaces, a root made of what was listed, seccomp, Landlock: this crate's own.
    #[default]
    Local,
    /// Landlock and seccomp alone, without any network: for machines that give no user namespaces.
    Restricted,
    /// runc, in a box of this crate's own.
    Runc,
    /// crun, likewise.
    Crun,
    /// gVisor's runsc, likewise.
    Runsc,
}

/// What stands between a child and the machine: which driver, and the layers really in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posture {
    /// The driver.
    pub driver: DriverName,
    /// The runtime's version, where there is one.
    pub version: Option<String>,
    /// The layers, in force or missing, measured.
    pub layers: Layers,
}

/// What a driver promises for later.
pub type Promised<'a, T> = Pin<Box<dyn Future<Output = Result<T, SpawnError>> + Send + 'a>>;

/// Makes sandboxes.
pub trait Driver: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> DriverName;

    /// Sets up one sandbox with a root, a network and every limit, looks at it, and ends it.
    ///
    /// # Errors
    /// Why there can be none, with the way out.
    fn probe(&self) -> Promised<'_, Posture>;

    /// Makes a sandbox, whole; its program waits for [`Created::exec`].
    ///
    /// # Errors
    /// What is wrong with the command, which layer is missing, or what could not be set up.
    fn create<'a>(&'a self, command: &'a Command) -> Promised<'a, Created>;

    /// Makes a sandbox and starts its program.
    ///
    /// # Errors
    /// As [`Self::create`], and [`Created::exec`].
    fn spawn<'a>(&'a self, command: &'a Command) -> Promised<'a, Child> {
        Box::pin(async move { self.create(command).await?.exec().await })
    }
}

/// How a child is kept apart, as the spawner is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Confinement {
    #[default]
    Local,
    Restricted,
    Container(Runtime),
}

/// This crate's own sandbox.
#[derive(Clone, Debug)]
pub struct Local(Spawner);

/// The sandbox without namespaces.
#[derive(Clone, Debug)]
pub struct Restricted(Spawner);

/// A runtime in a box.
#[derive(Clone, Debug)]
pub struct Container {
    spawner: Spawner,
    runtime: Runtime,
}

/// How long a runtime may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

// === impl DriverName ===

impl DriverName {
    /// Every driver, strongest of this crate first.
    pub const ALL: [Self; 5] = [Self::Local, Self::Restricted, Self::Runc, Self::Crun, Self::Runsc];

    /// As it is written in configurations and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Restricted => "restricted",
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Runsc => "runsc",
        }
    }

    /// Whether it is an OCI runtime, which can show an image as the root.
    pub const fn is_oci(self) -> bool {
        self.kind().is_some()
    }

    /// Whether a program in it reaches anything: the gateway.
    pub const fn has_network(self) -> bool {
        !matches!(self, Self::Restricted)
    }

    /// Whether things can be shown in another place than where they are, and folders be in memory.
    pub const fn has_mounts(self) -> bool {
        !matches!(self, Self::Restricted)
    }

    const fn kind(self) -> Option<Kind> {
        match self {
            Self::Local | Self::Restricted => None,
            Self::Runc => Some(Kind::Runc),
            Self::Crun => Some(Kind::Crun),
            Self::Runsc => Some(Kind::Runsc),
        }
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Posture ===

impl Posture {
    /// The driver with its runtime's version, as it stands in the log.
    pub fn driver(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.driver),
            None => self.driver.to_string(),
        }
    }
}

// === impl Confinement ===

impl Confinement {
    pub(crate) const fn name(&self) -> DriverName {
        match self {
            Self::Local => DriverName::Local,
            Self::Restricted => DriverName::Restricted,
            Self::Container(Runtime { kind: Kind::Runc, .. }) => DriverName::Runc,
            Self::Container(Runtime { kind: Kind::Crun, .. }) => DriverName::Crun,
            Self::Container(Runtime { kind: Kind::Runsc, .. }) => DriverName::Runsc,
        }
    }

    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Self::Container(runtime) => Some(runtime.version.clone()),
            Self::Local | Self::Restricted => None,
        }
    }
}

// === impl Spawner ===

impl Spawner {
    /// A driver by its name. A runtime is looked up, and asked for its version, in a sandbox.
    ///
    /// # Errors
    /// [`SpawnError::NoRuntime`] when it is not on this machine, or why it does not run.
    pub async fn driver(&self, name: DriverName) -> Result<Box<dyn Driver>, SpawnError> {
        match name.kind() {
            Some(kind) => {
                let runtime = Box::pin(self.runtime(kind)).await?;
                Ok(Box::new(Container { spawner: self.clone(), runtime }))
            }
            None if name == DriverName::Restricted => Ok(Box::new(Restricted(self.clone()))),
            None => Ok(Box::new(Local(self.clone()))),
        }
    }

    async fn runtime(&self, kind: Kind) -> Result<Runtime, SpawnError> {
        let path = oci::find(kind).ok_or(SpawnError::NoRuntime { name: kind.as_str() })?;
        let asked = Command::new(oci::PROGRAM)
            .argument("--version")
            .root(Root::system().read_only(&path, oci::PROGRAM))
            .network(Network::None);
        let mut child = self.spawn(&asked).await?;
        let mut printed = Vec::new();
        let read = child.stdout.read_buf(&mut printed);
        // One that says nothing is used as well: what it does is measured, and not what it says.
        let _ = tokio::time::timeout(VERSION_PATIENCE, read).await;
        let version = oci::version_in(&String::from_utf8_lossy(&printed));
        Ok(Runtime { kind, path, version })
    }
}

async fn probe(spawner: &Spawner, confinement: Confinement, network: Network) -> Result<Posture, SpawnError> {
    // As large as any, so that the limits are tried and not in the way.
    let limits = Limits { memory_bytes: Some(1 << 30), cpu_percent: Some(100), ..Limits::default() };
    let (driver, version) = (confinement.name(), confinement.version());
    let command = Command::new("/bin/true").root(Root::system()).network(network).limits(limits);
    let created = spawner.create(&command.confined(confinement)).await?;
    Ok(Posture { driver, version, layers: created.layers().clone() })
}

// === impl Local ===

impl Driver for Local {
    fn name(&self) -> DriverName {
        DriverName::Local
    }

    fn probe(&self) -> Promised<'_, Posture> {
        Box::pin(probe(&self.0, Confinement::Local, Network::Gateway))
    }

    fn create<'a>(&'a self, command: &'a Command) -> Promised<'a, Created> {
        Box::pin(self.0.create(command))
    }

    /// In one step.
    fn spawn<'a>(&'a self, command: &'a Command) -> Promised<'a, Child> {
        Box::pin(self.0.spawn(command))
    }
}

// === impl Restricted ===

impl Driver for Restricted {
    fn name(&self) -> DriverName {
        DriverName::Restricted
    }

    fn probe(&self) -> Promised<'_, Posture> {
        Box::pin(probe(&self.0, Confinement::Restricted, Network::None))
    }

    fn create<'a>(&'a self, command: &'a Command) -> Promised<'a, Created> {
        Box::pin(async move { self.0.create(&command.clone().confined(Confinement::Restricted)).await })
    }
}

// === impl Container ===

impl Driver for Container {
    fn name(&self) -> DriverName {
        Confinement::Container(self.runtime.clone()).name()
    }

    fn probe(&self) -> Promised<'_, Posture> {
        Box::pin(probe(&self.spawner, Confinement::Container(self.runtime.clone()), Network::Gateway))
    }

    fn create<'a>(&'a self, command: &'a Command) -> Promised<'a, Created> {
        let confinement = Confinement::Container(self.runtime.clone());
        Box::pin(async move { self.spawner.create(&command.clone().confined(confinement)).await })
    }
}
