//! Sessions of legacy clients (MCP 2025-11-25, "Session Management").
//!
//! A session's identifier is made here, from 128 random bits, and means nothing anywhere else: the upstreams'
//! sessions are kept behind it. It is bound to the run that began it and to the path it began on; to everybody else
//! it does not exist.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use parking_lot::Mutex;
use ringfence_json::{Object, Value};
use ringfence_kernel::Run;
use ringfence_types::{RunId, ServerName};
use rustix::rand::{GetRandomFlags, getrandom};
use smol_str::SmolStr;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;
use super::message::Id;
use super::question::{Question, Questions};
use crate::Limits;
use crate::targets::HttpTarget;

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<SmolStr, Arc<Session>>>,
    limits: Limits,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SmolStr,
    pub(crate) run: Arc<Run>,
    pub(crate) endpoint: Endpoint,
    /// The parameters of the client's `initialize`: what upstreams are greeted with.
    pub(crate) handshake: Object,
    upstreams: Mutex<HashMap<ServerName, Arc<AsyncMutex<Option<UpstreamSession>>>>>,
    flights: Mutex<HashMap<Id, CancellationToken>>,
    pub(super) questions: Mutex<Questions>,
    used: Mutex<Instant>,
    /// Ends what the session holds open when it ends.
    pub(crate) ended: CancellationToken,
}

/// A session with one upstream over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamSession {
    /// Where it was begun.
    pub(crate) target: Arc<HttpTarget>,
    /// Its identifier there, if the upstream has sessions.
    pub(crate) session: Option<HeaderValue>,
    /// The revision that was agreed on.
    pub(crate) revision: SmolStr,
}

/// A request under way. Dropped, it is not any more.
#[derive(Debug)]
pub(crate) struct InFlight {
    session: Arc<Session>,
    id: Id,
    /// Cancelled when the client calls the request off.
    pub(crate) called_off: CancellationToken,
}

/// The agent's other runs have as many sessions as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySessions;

/// Why a request cannot be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// One of that identifier is.
    Twice,
    /// As many as allowed are.
    Full,
}

// === impl Sessions ===

impl Sessions {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { open: Mutex::default(), limits: limits.clone() }
    }

    /// Begins a session. Where its run or its agent has as many as allowed, the run's own one that was idle for
    /// longest ends, and is given back to say farewell to its upstreams.
    ///
    /// # Errors
    /// When the agent's other runs have them all: one run does not end another's.
    pub(crate) fn begin(
        &self,
        run: Arc<Run>,
        endpoint: Endpoint,
        handshake: Object,
    ) -> Result<(Arc<Session>, Option<Arc<Session>>), TooManySessions> {
        let session = Arc::new(Session {
            id: new_id(),
            run,
            endpoint,
            handshake,
            upstreams: Mutex::default(),
            flights: Mutex::default(),
            questions: Mutex::default(),
            used: Mutex::new(Instant::now()),
            ended: CancellationToken::new(),
        });
        let mut open = self.open.lock();
        let of_agent = |other: &&Arc<Session>| {
            other.run.workspace == session.run.workspace && other.run.agent == session.run.agent
        };
        let of_run = |other: &&Arc<Session>| other.run.id == session.run.id;
        let full = open.values().filter(of_agent).count() >= self.limits.sessions_per_agent
            || open.values().filter(of_run).count() >= self.limits.sessions_per_run;
        let mut ended = None;
        if full {
            let oldest = open.values().filter(of_run).max_by_key(|other| other.idle());
            let oldest = oldest.map(|oldest| oldest.id.clone()).ok_or(TooManySessions)?;
            ended = open.remove(&oldest);
            if let Some(ended) = &ended {
                ended.ended.cancel();
            }
        }
        open.insert(session.id.clone(), Arc::clone(&session));
        Ok((session, ended))
    }

    /// The session of that identifier, if it is this run's and began on this path.
    pub(crate) fn get(&self, id: &str, run: &Run, endpoint: &Endpoint) -> Option<Arc<Session>> {
        let session = self.open.lock().get(id).cloned()?;
        if session.run.id != run.id || session.endpoint != *endpoint {
            return None;
        }
        *session.used.lock() = Instant::now();
        Some(session)
    }

    /// Ends a session; gives it back to say farewell to its upstreams.
    pub(crate) fn end(&self, session: &Session) -> Option<Arc<Session>> {
        let ended = self.open.lock().remove(&session.id)?;
        ended.ended.cancel();
        Some(ended)
    }

    /// Ends the sessions that were idle for too long, and those of runs that `lives` says no of; gives them back.
    pub(crate) fn sweep(&self, lives: impl Fn(RunId) -> bool) -> Vec<Arc<Session>> {
        let mut open = self.open.lock();
        let over =
            |session: &&Arc<Session>| session.idle() > self.limits.session_idle || !lives(session.run.id);
        let expired: Vec<_> = open.values().filter(over).cloned().collect();
        for session in &expired {
            open.remove(&session.id);
            session.ended.cancel();
        }
        expired
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open.lock().len()
    }
}

/// 128 bits from the operating system, in hexadecimal.
#[expect(
    clippy::expect_used,
    reason = "getrandom(2) cannot fail for a small buffer without flags, once seeded"
)]
fn new_id() -> SmolStr {
    let mut random = [0; 16];
    let filled = getrandom(&mut random, GetRandomFlags::empty()).expect("the generator is there");
    assert_eq!(filled, random.len(), "small reads are never short");
    let mut text = String::with_capacity(32);
    for byte in random {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

// === impl Session ===

impl Session {
    /// The place of the session with one upstream; locked while it is begun.
    pub(crate) fn upstream(&self, server: &ServerName) -> Arc<AsyncMutex<Option<UpstreamSession>>> {
        Arc::clone(self.upstreams.lock().entry(server.clone()).or_default())
    }

    /// The sessions with upstreams that were begun.
    pub(crate) fn upstreams(&self) -> Vec<Arc<AsyncMutex<Option<UpstreamSession>>>> {
        self.upstreams.lock().values().cloned().collect()
    }

    /// A request is under way from here on.
    pub(crate) fn depart(self: &Arc<Self>, id: &Id, limits: &Limits) -> Result<InFlight, Crowded> {
        let mut flights = self.flights.lock();
        if flights.len() >= limits.session_requests {
            return Err(Crowded::Full);
        }
        let Entry::Vacant(place) = flights.entry(id.clone()) else { return Err(Crowded::Twice) };
        let called_off = place.insert(CancellationToken::new()).clone();
        Ok(InFlight { session: Arc::clone(self), id: id.clone(), called_off })
    }

    /// The client calls a request off.
    pub(crate) fn call_off(&self, id: &Id) {
        if let Some(flight) = self.flights.lock().get(id) {
            flight.cancel();
        }
    }

    /// The question that the client answers.
    pub(crate) fn answered(&self, id: &Id) -> Option<Question> {
        self.questions.lock().answered(id)
    }

    /// The question whose server wants to hear of progress under this token.
    pub(crate) fn question_of_token(&self, token: &Value) -> Option<Question> {
        self.questions.lock().of_token(token)
    }

    /// A server withdraws a question; gives the identifier that the client knows it by.
    pub(crate) fn withdraw(&self, server: &ServerName, id: &Id) -> Option<Id> {
        self.questions.lock().withdraw(server, id)
    }

    fn idle(&self) -> std::time::Duration {
        let busy = !self.flights.lock().is_empty();
        if busy { std::time::Duration::ZERO } else { self.used.lock().elapsed() }
    }

    /// Somebody uses it.
    pub(crate) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.session.flights.lock().remove(&self.id);
        self.session.touch();
    }
}
