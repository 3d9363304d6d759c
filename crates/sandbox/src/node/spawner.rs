//! The handle by which the node asks for children.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::bootstrap::{Link, base_environment};
use super::child::{Child, Leash, Process};
use super::created::Created;
use super::stderr::BoundedStderr;
use super::table::{Answer, Slot, Started, Table};
use crate::command::Command;
use crate::error::SpawnError;
use crate::layer::{LayerName, Layers};
use crate::limits::{CHILDREN_MAX, MESSAGE_BYTES_MAX, SHORTAGE_PAUSE, SPAWN_TIMEOUT, TCP_PORTS, UDP_PORTS};
use crate::network::{Network, Sockets};
use crate::refusal::{Named, explain};
use crate::stats::Stats;
use crate::wire::{Failure, Notice, Order, Request, SignalKind, is_shortage, receive, send};

/// Starts children. Clones are handles to one spawner; when the last one and the last child are dropped, or the
/// runtime ends, so does the spawner.
#[derive(Clone, Debug)]
pub struct Spawner {
    shared: Arc<Shared>,
    layers: Arc<Layers>,
    run_layers: Arc<Layers>,
}

/// What handles, children and the task that talks to the spawner share.
#[derive(Debug)]
pub(super) struct Shared {
    table: Table,
    /// Bounded by [`CHILDREN_MAX`]: a child is ordered once and signalled by hand or by being dropped.
    outbox: mpsc::UnboundedSender<Outgoing>,
    places: Arc<Semaphore>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Outgoing {
    /// The child.
    id: u64,
    bytes: Vec<u8>,
    /// Of an order, its pipes; nothing else has any.
    descriptors: Vec<OwnedFd>,
}

/// The child's ends of its pipes, and ours.
struct Pipes {
    theirs: Vec<OwnedFd>,
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

// === impl Spawner ===

impl Spawner {
    pub(super) fn new(link: Link, layers: Layers, run_layers: Layers) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&link.socket, true)?;
        let (outbox, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            table: Table::new(),
            outbox,
            places: Arc::new(Semaphore::new(CHILDREN_MAX)),
            next: AtomicU64::new(1),
        });
        let socket = crate::system::register(link.socket.try_clone()?)?;
        // The task holds no handle, so that the last handle's end closes its inbox, and it ends.
        let ending = EndTable(Arc::downgrade(&shared));
        tokio::spawn(async move {
            let _link = link;
            let ending = ending;
            tokio::select! {
                () = write_all(&socket, inbox, &ending.0) => {}
                () = read_all(&socket, &ending.0) => {}
            }
        });
        Ok(Self { shared, layers: Arc::new(layers), run_layers: Arc::new(run_layers) })
    }

    /// The layers that were found when the spawner started.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The layers that were found around a child with a root of its own, [`crate::Network::Gateway`] and every limit,
    /// when the spawner started. Where none can be made, all are missing, with the reason.
    pub fn run_layers(&self) -> &Layers {
        &self.run_layers
    }

    /// Whether the spawner lives. When it has died, all children have, and none can be started any more.
    pub fn alive(&self) -> bool {
        !self.shared.table.ended()
    }

    /// Starts a child and waits, at most [`SPAWN_TIMEOUT`], until its program runs. Dropped before, nothing of
    /// the child is left.
    ///
    /// # Errors
    /// [`SpawnError`]: what is wrong with the command, what could not be set up, or that the spawner has died.
    pub async fn spawn(&self, command: &Command) -> Result<Child, SpawnError> {
        self.begin(command, None).await.map(|created| created.child)
    }

    /// Makes a child's sandbox, whole, and waits, at most [`SPAWN_TIMEOUT`], until all is in place; its program does
    /// not run before [`Created::exec`]. Dropped before, nothing of it is left.
    ///
    /// # Errors
    /// As [`Self::spawn`], but for what goes wrong when the program is executed.
    pub async fn create(&self, command: &Command) -> Result<Created, SpawnError> {
        self.begin(command, Some(command.hold)).await
    }

    /// Orders a child and waits for the first answer: that it is held, or that its program runs.
    async fn begin(&self, command: &Command, hold: Option<Duration>) -> Result<Created, SpawnError> {
        command.validate()?;
        let order = order(command, hold);
        let named = Named::of(&order);
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        let place = place.map_err(|_| SpawnError::TooMany { max: CHILDREN_MAX })?;
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let bytes = Request::Spawn { id, order: Box::new(order) }.encode();
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(SpawnError::TooLarge { bytes: bytes.len(), max: MESSAGE_BYTES_MAX });
        }
        let pipes = Pipes::open().map_err(SpawnError::Pipes)?;
        let (first, answer) = oneshot::channel();
        let (second, runs) = oneshot::channel();
        let starting = if hold.is_some() { VecDeque::from([first, second]) } else { VecDeque::from([first]) };
        let (ended, ending) = watch::channel(None);
        if !self.shared.table.add(id, Slot { starting, ended, place, measuring: VecDeque::new() }) {
            return Err(SpawnError::SpawnerGone);
        }
        // From here on, whatever goes wrong, dropping the leash kills what has been started.
        let leash = Leash { id, shared: Arc::clone(&self.shared) };
        self.shared.send(Outgoing { id, bytes, descriptors: pipes.theirs });
        let Started { pid, layers, handed } = await_answer(answer, &named).await?;
        let layers = Layers::new(layers, command.layers());
        let (sockets, volumes) = name_handed(handed, command, &layers)?;
        let driver = (command.confinement.name(), command.confinement.version());
        let mut process =
            Process { id, pid, layers, driver, ended: ending, leash, sockets, volumes, errors: None };
        let stderr = if command.errors_read {
            BoundedStderr::reading(pipes.stderr)
        } else {
            process.errors = Some(pipes.stderr);
            BoundedStderr::default()
        };
        let child = Child { process, stdin: pipes.stdin, stdout: pipes.stdout, stderr };
        Ok(Created { child, runs, named })
    }
}

/// Volumes by where they are in the child's root.
type Volumes = Vec<(PathBuf, OwnedFd)>;

/// Sockets and volumes in the order in which they are made inside.
fn name_handed(
    handed: Vec<OwnedFd>,
    command: &Command,
    layers: &Layers,
) -> Result<(Option<Sockets>, Volumes), SpawnError> {
    let listens = command.network == Network::Gateway;
    let catches = listens && layers.in_force(LayerName::TransparentProxy);
    let sockets = if listens { TCP_PORTS.len() + UDP_PORTS.len() + usize::from(catches) } else { 0 };
    let least = sockets + command.volumes.len();
    // Of descriptors either all arrive or none, so that one more is the one that not every kernel gives.
    let hears = catches && handed.len() == least + 1;
    if handed.len() != least + usize::from(hears) {
        let why = "its sockets and volumes did not arrive; too many files are open, or programs of this user hold \
                   too many descriptors on their way";
        return Err(SpawnError::Setup(why.to_owned()));
    }
    let mut handed = handed.into_iter();
    let sockets = listens.then(|| name_sockets(&mut handed, catches, hears));
    let volumes = command.volumes.iter().map(|volume| volume.target.clone()).zip(handed).collect();
    Ok((sockets, volumes))
}

fn name_sockets(handed: &mut impl Iterator<Item = OwnedFd>, catches: bool, hears: bool) -> Sockets {
    let tcp =
        TCP_PORTS.into_iter().zip(handed.by_ref()).map(|(port, socket)| (port, socket.into())).collect();
    let udp =
        UDP_PORTS.into_iter().zip(handed.by_ref()).map(|(port, socket)| (port, socket.into())).collect();
    let rest = if catches { handed.next().map(Into::into) } else { None };
    let unseen = if hears { handed.next() } else { None };
    Sockets { tcp, udp, rest, unseen }
}

pub(super) async fn await_answer(
    answer: oneshot::Receiver<Answer>,
    named: &Named,
) -> Result<Started, SpawnError> {
    match tokio::time::timeout(SPAWN_TIMEOUT, answer).await {
        Err(_) => Err(SpawnError::TimedOut { after: SPAWN_TIMEOUT }),
        Ok(Err(_)) => Err(SpawnError::SpawnerGone),
        Ok(Ok(Err(failure))) => Err(explain(failure, named)),
        Ok(Ok(Ok(started))) => Ok(started),
    }
}

/// The command with the base environment below its own.
fn order(command: &Command, hold: Option<Duration>) -> Order {
    let mut environment = base_environment(command.root.is_some());
    environment.extend(command.variables.iter().cloned());
    Order {
        program: command.program.clone(),
        arguments: command.arguments.clone(),
        directory: command.directory.clone(),
        environment,
        hidden: command.hidden.clone(),
        required: command.required.clone(),
        limits: command.limits,
        root: command.root.clone(),
        network: command.network,
        volumes: command.volumes.clone(),
        hold,
        confinement: command.confinement.clone(),
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn signal(&self, id: u64, kind: SignalKind) {
        let bytes = Request::Signal { id, kind }.encode();
        self.send(Outgoing { id, bytes, descriptors: Vec::new() });
    }

    pub(super) fn execute(&self, id: u64) {
        self.send(Outgoing { id, bytes: Request::Execute { id }.encode(), descriptors: Vec::new() });
    }

    /// Asks what a child uses; `None` when it has ended.
    pub(super) async fn measure(&self, id: u64) -> Option<Stats> {
        let answer = self.table.measuring(id)?;
        self.send(Outgoing { id, bytes: Request::Measure { id }.encode(), descriptors: Vec::new() });
        answer.await.ok().flatten()
    }

    fn send(&self, message: Outgoing) {
        // The task has ended: the spawner is dead, and everybody who waits has been told.
        let _ = self.outbox.send(message);
    }
}

/// Tells everybody who waits that the spawner has died, however the task that talked to it ends.
struct EndTable(Weak<Shared>);

impl Drop for EndTable {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.table.end();
        }
    }
}

/// Ends when every handle has gone, or the spawner.
async fn write_all(
    socket: &AsyncFd<OwnedFd>,
    mut inbox: mpsc::UnboundedReceiver<Outgoing>,
    shared: &Weak<Shared>,
) {
    while let Some(outgoing) = inbox.recv().await {
        if let Err(error) = write_one(socket, &outgoing, shared).await {
            tracing::error!(%error, "the spawner cannot be reached; tool servers cannot be started any more");
            return;
        }
    }
}

/// What the system is short of ends an order and not the spawner; anything else waits, as a kill must not be lost.
async fn write_one(
    socket: &AsyncFd<OwnedFd>,
    Outgoing { id, bytes, descriptors }: &Outgoing,
    shared: &Weak<Shared>,
) -> io::Result<()> {
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    loop {
        match socket.async_io(Interest::WRITABLE, |socket| send(socket, bytes, &borrowed)).await {
            Err(error) if is_shortage(&error) && descriptors.is_empty() => {
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
            Err(error) if is_shortage(&error) => {
                tracing::warn!(%error, "a child could not be ordered; others go on");
                let what =
                    "handing its pipes to the spawner (programs of this user may hold too many descriptors)";
                let failed = Notice::Failed { id: *id, failure: Failure::setup(what, &error) };
                let told = shared.upgrade().map(|shared| shared.table.apply(failed, Vec::new()));
                return told.unwrap_or(Ok(())).map_err(io::Error::other);
            }
            other => return other,
        }
    }
}

/// Ends when the spawner has gone.
async fn read_all(socket: &AsyncFd<OwnedFd>, shared: &Weak<Shared>) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let received = socket.async_io(Interest::READABLE, |socket| receive(socket, &mut buffer)).await;
        let problem = match received {
            Ok(Some(packet)) => match Notice::decode(&buffer[..packet.length]) {
                Ok(notice) => {
                    match shared.upgrade().map(|shared| shared.table.apply(notice, packet.descriptors)) {
                        None => return,
                        Some(Ok(())) => continue,
                        Some(Err(what)) => what.to_owned(),
                    }
                }
                Err(error) => error.to_string(),
            },
            Ok(None) => "it has ended".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(%problem, "the spawner has died, and every tool server with it; restart the node");
        return;
    }
}

// === impl Pipes ===

impl Pipes {
    fn open() -> io::Result<Self> {
        let open = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (child_in, our_in) = open()?;
        let (our_out, child_out) = open()?;
        let (our_err, child_err) = open()?;
        Ok(Self {
            theirs: vec![child_in, child_out, child_err],
            stdin: pipe::Sender::from_owned_fd(our_in)?,
            stdout: pipe::Receiver::from_owned_fd(our_out)?,
            stderr: pipe::Receiver::from_owned_fd(our_err)?,
        })
    }
}
