//! The kernel itself: what is shared, how it opens, what the agents' side asks of it besides admission.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_ledger::{Faults, Ledger, Payload, PayloadClass, RoomFor, SealedPayload};
use ringfence_policy::ToolDefinition;
use ringfence_types::{ActionId, AgentName, Code, Digest, NodeName, ServerName, Timestamp, WorkspaceName};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::Notify;

use crate::ask::Ask;
use crate::fold::{Fold, Kept};
use crate::journal::Journal;
use crate::operator::{LedgerUnavailable, durable};
use crate::record::{ConfigRecord, NodeEvent, Record, RunRecord};
use crate::recover::{self, OpenError, Recovered};
use crate::state::{Shared, State};
use crate::view::View;
use crate::{Actor, Call, Clock, Proposal, Run, Setup};

/// Admits, settles, and knows what must not be forgotten. Cheap to clone; clones are the same kernel.
#[derive(Clone)]
pub struct Kernel(pub(crate) Shared);

/// What all clones share.
pub(crate) struct Inner {
    pub setup: ArcSwap<Setup>,
    pub ledger: Ledger,
    pub clock: Clock,
    pub state: Mutex<State>,
    /// Told whenever a run that was started here has ended.
    pub endings: Notify,
    /// Where snapshots are.
    pub directory: PathBuf,
    pub started_at: Timestamp,
    /// When payloads were last pruned, in microseconds of log time.
    pub pruned_at: AtomicU64,
}

/// How a kernel is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node's name, in every entry.
    pub node: NodeName,
    /// Where time comes from.
    pub clock: Clock,
    /// Bytes of one segment of the log.
    pub segment_bytes: Option<u64>,
}

/// The token stands for no run, or for one whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the run token is unknown or has expired; mint a new one with `ringfence token mint`")]
pub struct Unauthenticated;

/// The right of the node to ask a configured server something on its own behalf: its tool list, a greeting.
#[derive(Debug)]
pub struct Errand {
    workspace: WorkspaceName,
    server: ServerName,
}

// === impl Kernel ===

impl Kernel {
    /// Opens the log in `directory`, rebuilds what is known from it, and settles as unknown what a crash left open.
    ///
    /// # Errors
    /// When the folder is in use by another node, cannot be read or written, or the log is damaged.
    pub async fn open(
        directory: &Path,
        options: Options,
        setup: Setup,
    ) -> Result<(Self, Recovered), OpenError> {
        recover::open(directory, options, setup, Faults::default()).await
    }

    /// As [`Kernel::open`], on a disk that fails when it is told to; for tests.
    ///
    /// # Errors
    /// As [`Kernel::open`].
    #[cfg(feature = "faults")]
    pub async fn open_with_faults(
        directory: &Path,
        options: Options,
        setup: Setup,
        faults: Faults,
    ) -> Result<(Self, Recovered), OpenError> {
        recover::open(directory, options, setup, faults).await
    }

    /// Puts a new configuration into force. What was cleared before stays on the old one.
    ///
    /// # Errors
    /// When the log cannot take it; the old configuration then stays.
    pub async fn apply(&self, setup: Setup, by: &Actor) -> Result<(), LedgerUnavailable> {
        let setup = Arc::new(setup);
        let (ticket, before) = {
            let mut state = self.0.state.lock();
            let record = ConfigRecord { config: setup.digest, by: by.person.clone() };
            let ticket =
                state.commit(&self.0.clock, &Record::Config(record), Vec::new(), RoomFor::Operator)?;
            // Swapped under the lock: an admission that started on the old one sees that it is stale.
            (ticket, self.0.setup.swap(Arc::clone(&setup)))
        };
        durable(ticket).await.map(drop).inspect_err(|_| {
            // Nothing was cleared on it: an intent stands behind it in the log and is lost with it.
            let _state = self.0.state.lock();
            if Arc::ptr_eq(&self.0.setup.load(), &setup) {
                self.0.setup.store(before);
            }
        })
    }

    /// The configuration in force.
    pub fn setup(&self) -> Arc<Setup> {
        self.0.setup.load_full()
    }

    /// The log, for reading.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The present moment in log time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The run a token stands for.
    ///
    /// # Errors
    /// When the token is unknown or its time is over. A run that was ended is still known, so that its agent can be
    /// told why each action is refused.
    pub fn authenticate(&self, token: &str) -> Result<Arc<Run>, Unauthenticated> {
        let digest = Digest::of(token.as_bytes());
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        let known = state.fold.runs.by_token(&digest).filter(|known| now < known.run.expires_at);
        let run = known.map(|known| Arc::clone(&known.run));
        run.ok_or_else(|| {
            state.counts.unauthenticated += 1;
            Unauthenticated
        })
    }

    /// Whether a tool is shown to this run: it holds it, the definition is the pinned one, and some arguments could
    /// be allowed.
    pub fn may_show(&self, run: &Arc<Run>, server: &ServerName, definition: &ToolDefinition) -> bool {
        let call = Call::Tool { tool: definition.name.clone(), arguments: Object::new(), continuation: None };
        let proposal = Proposal { run: Arc::clone(run), server: server.clone(), call };
        self.could_be_allowed(proposal, Some(definition.digest))
    }

    /// Whether this run could ever be allowed what stands for a tool: `resources/read`, `prompts/get`.
    pub fn may_use(&self, run: &Arc<Run>, server: &ServerName, method: &str) -> bool {
        let call = crate::proposal::call_of(method, false, &Object::new().with("uri", "").with("name", ""));
        call.is_some_and(|call| {
            let proposal = Proposal { run: Arc::clone(run), server: server.clone(), call };
            self.could_be_allowed(proposal, None)
        })
    }

    /// The agents of which this run could ever be allowed to start runs.
    pub fn spawnable(&self, run: &Run) -> Vec<AgentName> {
        let setup = self.0.setup.load();
        let Some(holds) = setup.holds(run) else { return Vec::new() };
        let agents: Vec<AgentName> = holds.agents().into_iter().cloned().collect();
        let Some(view) = View::of_spawn(&setup, run).filter(|_| !agents.is_empty()) else {
            return Vec::new();
        };
        let nothing = Object::new();
        let may_ever = view.workspace.policy.may_ever_allow(&view.spawn_request(run, &nothing));
        if may_ever { agents } else { Vec::new() }
    }

    /// An identifier for what never becomes an action, in answers that have to have one.
    pub fn new_action(&self) -> ActionId {
        self.0.new_id(ActionId::new)
    }

    fn could_be_allowed(&self, proposal: Proposal, definition: Option<Digest>) -> bool {
        let (server, called) = (proposal.server.clone(), proposal.call.clone());
        let ask = Ask::from(proposal);
        let setup = self.0.setup.load();
        let Ok(view) = View::of(&setup, &ask) else { return false };
        let state = self.0.state.lock();
        let Ok(pinned) = crate::admit::current_definition(&state, &ask) else { return false };
        if pinned.map(|pinned| pinned.definition.digest) != definition {
            return false;
        }
        let pinned = pinned.cloned();
        drop(state);
        let nothing = Object::new();
        let request = view.request(&ask.run, server.as_str(), &called, pinned.as_ref(), &nothing);
        view.workspace.policy.may_ever_allow(&request)
    }

    /// The node's own business with a server, if it is configured.
    pub fn errand(&self, workspace: &WorkspaceName, server: &ServerName) -> Option<Errand> {
        let setup = self.0.setup.load();
        let known = setup.workspaces.get(workspace)?.servers.contains_key(server);
        known.then(|| Errand { workspace: workspace.clone(), server: server.clone() })
    }

    /// Stops admitting, cuts off what is under way, writes a snapshot and closes the log.
    pub async fn stop(&self) {
        let ticket = {
            let mut state = self.0.state.lock();
            state.stopping = true;
            let cut = crate::cancel::CutOff {
                code: Code::Overloaded,
                reason: "The node is stopping.".into(),
                action: None,
            };
            state.live.cut(&ringfence_types::Scope::default(), &cut);
            self.0.write_due_refusals(&mut state, true);
            let record = RunRecord {
                event: NodeEvent::Stopped,
                run: None,
                reason: "stopped in good order".into(),
                by: crate::actor::node_name(),
            };
            state.commit(&self.0.clock, &Record::Run(record), Vec::new(), RoomFor::Operator)
        };
        self.0.snapshot().await;
        if let Ok(ticket) = ticket {
            // A log that cannot take the last entry is closed all the same.
            let _ = ticket.durable().await;
        }
        let ledger = self.0.ledger.clone();
        // Closing waits for the disk.
        let _ = tokio::task::spawn_blocking(move || ledger.close()).await;
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kernel(…)")
    }
}

// === impl Inner ===

impl Inner {
    pub(crate) fn new(
        ledger: Ledger,
        journal: Journal,
        clock: Clock,
        fold: Fold,
        directory: PathBuf,
        setup: Setup,
    ) -> Self {
        Self {
            setup: ArcSwap::from_pointee(setup),
            started_at: clock.now(),
            ledger,
            clock,
            state: Mutex::new(State::new(fold, journal)),
            endings: Notify::new(),
            directory,
            pruned_at: AtomicU64::new(0),
        }
    }

    /// Bytes from the operating system's generator.
    #[expect(
        clippy::expect_used,
        reason = "getrandom(2) cannot fail for a small buffer without flags, once seeded"
    )]
    pub(crate) fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        let filled = getrandom(&mut bytes, GetRandomFlags::empty()).expect("the generator is there");
        assert_eq!(filled, N, "small reads are never short");
        bytes
    }

    /// A new identifier of any kind.
    pub(crate) fn new_id<T>(&self, make: impl Fn(Timestamp, [u8; 10]) -> T) -> T {
        make(self.clock.now(), Self::random())
    }

    /// Seals a payload of a workspace; `None` when the disk has no room for it.
    pub(crate) fn seal(&self, workspace: &WorkspaceName, content: &[u8]) -> Option<SealedPayload> {
        let class = PayloadClass::new(workspace.as_str()).ok()?;
        self.ledger.session()?.seal(&class, content).ok()
    }

    /// An object that is kept as a payload; `None` when it cannot be read back.
    pub(crate) fn object_payload(&self, kept: &Kept) -> Option<Object> {
        let Ok(Some(Payload::Content(bytes))) = self.ledger.payload(kept.entry, &kept.name) else {
            return None;
        };
        parse(&bytes, &Limits::default()).ok().and_then(Value::into_object)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner(…)")
    }
}

// === impl Errand ===

impl Errand {
    /// Whose server.
    pub fn workspace(&self) -> &WorkspaceName {
        &self.workspace
    }

    /// Which server.
    pub fn server(&self) -> &ServerName {
        &self.server
    }
}
