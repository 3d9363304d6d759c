//! Settling: the last step of every cleared action.

use std::sync::Arc;
use std::time::Duration;

use ringfence_ledger::{Room, RoomFor, SealedPayload};
use ringfence_types::{Code, Digest, Scope, Timestamp, WorkspaceName};

use crate::clearance::{Failure, Outcome, Receipt};
use crate::guard::{Health, Step};
use crate::kernel::Inner;
use crate::model::{Charge, Ended, Metered, Terms};
use crate::permit::{Cleared, Permit};
use crate::record::{OutcomeRecord, Record, Status};
use crate::state::State;
use crate::target::Upstream;
use crate::text::bounded;

/// What came of an action, on its way into the log.
pub(crate) struct Settled {
    pub record: OutcomeRecord,
    /// When it was cleared, in the log's time.
    pub cleared_at: Timestamp,
}

/// Settles an action; `None` when its clearance was dropped. `given`: what the agent had of a result that did not come
/// to its end.
pub(crate) fn settle(permit: Permit, outcome: Option<&Outcome>, given: &[u8]) -> Receipt {
    let shared = Arc::clone(&permit.shared);
    let result = match outcome {
        Some(Outcome::Completed { result, .. }) => Some(result.as_slice()),
        _ => Some(given).filter(|given| !given.is_empty()),
    };
    let payload = result.and_then(|result| shared.seal(&permit.run.workspace, result));
    let kept = (payload.as_ref().map(SealedPayload::name), result.map_or(0, <[u8]>::len));
    let record = outcome_record(&permit, outcome, kept);
    let mut state = shared.state.lock();
    // Housekeeping has given back what an overdue action held.
    if state.live.remove(permit.live) {
        state.give_turn_back(&permit.subject);
    }
    tell_guards(&shared, &mut state, &permit, outcome);
    let Permit { action, mut room, recorded_at, .. } = permit;
    let settled = Settled { record, cleared_at: recorded_at };
    // Already settled as overdue by housekeeping, or never written because the log failed under it: no outcome.
    if !state.fold.open.contains_key(&action) && !state.journal.is_spent() {
        shared.settle_late(&mut state, settled, Some(&mut room));
        return Receipt { action, entry: None };
    }
    let (subject, charge) = (Arc::clone(&settled.record.subject), settled.record.charge.clone());
    let entry = write(&shared, &mut state, settled, payload, &mut room);
    if let Some(charge) = charge {
        shared.after_charge(&mut state, &subject, action, &charge);
    }
    Receipt { action, entry }
}

/// Writes the outcome, or keeps it until the log is back.
fn write(
    shared: &Inner,
    state: &mut State,
    settled: Settled,
    payload: Option<SealedPayload>,
    room: &mut Room,
) -> Option<u64> {
    state.counts.settled += 1;
    let payloads = payload.into_iter().collect();
    let entry = Record::Outcome(settled.record.clone());
    if let Ok(ticket) = state.commit(&shared.clock, &entry, payloads, RoomFor::Reserved(room)) {
        return Some(ticket.id());
    }
    let record = OutcomeRecord { result: None, ..settled.record };
    shared.write_outcome(state, Settled { record, ..settled })
}

impl Inner {
    /// Writes an outcome for which no room was kept, because the log failed since and the room with it: into the
    /// operators' room. What cannot be written now is kept and written by housekeeping.
    fn write_outcome(&self, state: &mut State, settled: Settled) -> Option<u64> {
        let entry = Record::Outcome(settled.record.clone());
        let committed = state.commit(&self.clock, &entry, Vec::new(), RoomFor::Operator);
        if committed.is_err() {
            state.unwritten.push(settled);
        }
        committed.ok().map(|ticket| ticket.id())
    }

    /// Writes the outcomes that the log could not take, unless they were settled in another way.
    pub(crate) fn write_unwritten(&self, state: &mut State) {
        for settled in std::mem::take(&mut state.unwritten) {
            let (subject, action) = (Arc::clone(&settled.record.subject), settled.record.action);
            if !state.fold.open.contains_key(&action) {
                self.settle_late(state, settled, None);
                continue;
            }
            let charge = settled.record.charge.clone();
            let is_written = self.write_outcome(state, settled).is_some();
            // What follows from its money could not be written then either.
            if let Some(charge) = charge.filter(|_| is_written) {
                self.after_charge(state, &subject, action, &charge);
            }
        }
    }

    /// What came of an action that was given up before, and booked at what was set aside for it. Less than that changes
    /// nothing any more; more is booked now. `room`: the one kept for its outcome.
    fn settle_late(&self, state: &mut State, settled: Settled, room: Option<&mut Room>) {
        let (subject, action) = (Arc::clone(&settled.record.subject), settled.record.action);
        let Some(charge) = settled.record.charge.clone() else { return };
        if !charge.is_over() {
            return self.doubt(state, &subject, action, &charge);
        }
        let kept =
            room.is_some_and(|room| self.correct(state, &settled, &charge, RoomFor::Reserved(room)).is_ok());
        if !kept && self.correct(state, &settled, &charge, RoomFor::Operator).is_err() {
            state.unwritten.push(settled);
        }
    }
}

/// `kept`: the name of the result, where it is kept, and its length.
fn outcome_record(
    permit: &Permit,
    outcome: Option<&Outcome>,
    kept: (Option<Digest>, usize),
) -> OutcomeRecord {
    let (status, code, reason) = match outcome {
        Some(outcome @ Outcome::Cancelled { .. }) if let Some((cut, end)) = permit.cancel.ended() => {
            let reason = format!("cut off because the run ended: {}", end.0);
            (outcome.status(), Some(cut.code), Some(bounded(&reason)))
        }
        Some(outcome) => (outcome.status(), outcome.code(), outcome.reason().map(bounded)),
        None if permit.handed_out => (
            Status::Unknown,
            Some(Code::OutcomeUnknown),
            Some("the call was dropped before it was settled".into()),
        ),
        None => match permit.cancel.check() {
            Err(cut) => (Status::NotSent, Some(cut.code), Some(bounded(&cut.reason))),
            Ok(()) => (Status::NotSent, None, Some("the agent was gone before the call was sent".into())),
        },
    };
    let is_error = matches!(outcome, Some(Outcome::Completed { is_error: true, .. }));
    OutcomeRecord {
        subject: Arc::clone(&permit.subject),
        action: permit.action,
        status,
        is_error,
        code,
        reason,
        result: kept.0,
        result_bytes: kept.1 as u64,
        duration_us: micros(permit.cleared_at.elapsed()),
        charge: permit.terms().map(|terms| charge(permit, terms, outcome)),
    }
}

/// What a model call came to: what stands on its meter, however it ended. One that was given out and dropped before
/// anything was sent used nothing.
fn charge(permit: &Permit, terms: &Terms, outcome: Option<&Outcome>) -> Charge {
    let not_sent = matches!(outcome, Some(Outcome::NotSent { .. } | Outcome::Unreachable { .. }));
    let metered = if not_sent || !permit.handed_out { Metered::default() } else { terms.meter.read() };
    Charge::of(terms, metered)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Tells the guards how it went.
fn tell_guards(shared: &Inner, state: &mut State, permit: &Permit, outcome: Option<&Outcome>) {
    let is_cached = permit.terms().is_some_and(|terms| terms.call.cached);
    let health = if is_cached { Health::Untold } else { health(outcome) };
    let setup = shared.setup.load();
    let agent = setup.agent(&permit.run.workspace, &permit.run.agent);
    let repetition = agent.and_then(|(_, agent)| agent.limits.repetition);
    let result = match &permit.sent {
        Cleared::Call(_) => outcome.and_then(result_digest),
        // That each run has a name of its own is no progress.
        Cleared::Spawn(_) => outcome.map(|outcome| Digest::of(format!("{:?}", outcome.status()).as_bytes())),
        Cleared::Model(_) | Cleared::Egress(_) => None,
    };
    if let (Some(bound), Some(result)) = (repetition, result) {
        state.guard(permit.run.id).repetition.settled(Step { call: permit.call_digest, result }, bound);
    }
    let now = shared.clock.now();
    if let (Some(terms), Some((_, agent))) = (permit.terms(), agent) {
        let health = if is_turned_away(outcome) { Health::Failed } else { health };
        let ended = Ended { health, probe: permit.probes.of_run, answered: is_answered(terms, outcome) };
        let loops = &mut state.guard(permit.run.id).loops;
        loops.ended(terms.call.trail.as_ref(), ended, agent.models.loops, now);
    }
    let Some(upstream) = permit.subject.target.upstream() else { return };
    let workspace = agent.map(|(workspace, _)| workspace);
    let setup = workspace.and_then(|workspace| workspace.breaker(&upstream)).unwrap_or_default();
    let key = (permit.run.workspace.clone(), upstream);
    let breaker = state.breakers.entry(key.clone()).or_default();
    if breaker.ended(health, permit.probes.of_upstream, setup, now) {
        breaker_opened(shared, state, key);
    }
}

/// What counts as the result when repetition is looked for: what the agent saw, or how it failed.
fn result_digest(outcome: &Outcome) -> Option<Digest> {
    match outcome {
        Outcome::Completed { result, .. } => Some(Digest::of(result)),
        Outcome::Failed { failure, .. } => Some(Digest::of(format!("{failure:?}").as_bytes())),
        Outcome::Unreachable { .. } => Some(Digest::of(b"unreachable")),
        Outcome::Cancelled { .. } | Outcome::NotSent { .. } => None,
    }
}

/// A breaker counts transport errors, timeouts, 5xx and malformed answers, not what a tool says.
fn health(outcome: Option<&Outcome>) -> Health {
    match outcome {
        Some(Outcome::Completed { .. }) => Health::Answered,
        Some(Outcome::Failed { failure, .. }) => match failure {
            Failure::Transport
            | Failure::Timeout
            | Failure::ServerError
            | Failure::Malformed
            | Failure::TooLarge => Health::Failed,
            Failure::Withheld | Failure::InvalidOutput | Failure::UpstreamError | Failure::TurnedAway => {
                Health::Answered
            }
        },
        Some(Outcome::Unreachable { .. }) => Health::Failed,
        Some(Outcome::Cancelled { .. } | Outcome::NotSent { .. }) | None => Health::Untold,
    }
}

/// Whether the provider would not take a model call, whatever is in it. That holds back the run that goes on asking,
/// and not the model: for others it may be well.
fn is_turned_away(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Failed { failure: Failure::TurnedAway, .. }))
}

/// Whether a model has answered, or begun to before somebody cut it off.
fn is_answered(terms: &Terms, outcome: Option<&Outcome>) -> bool {
    match outcome {
        Some(Outcome::Completed { .. } | Outcome::Failed { failure: Failure::Withheld, .. }) => true,
        Some(Outcome::Cancelled { .. }) | None => terms.meter.read().output > 0,
        Some(Outcome::Failed { .. } | Outcome::Unreachable { .. } | Outcome::NotSent { .. }) => false,
    }
}

fn breaker_opened(shared: &Inner, state: &mut State, (workspace, upstream): (WorkspaceName, Upstream)) {
    let scope = upstream.within(Scope { workspace: Some(workspace), ..Scope::default() });
    let reason =
        format!("{} failed too often in a row; calls to it are held back for a while", upstream.name());
    // The breaker holds whether or not this is written.
    let _ = shared.incident(state, scope, "breaker_open", &reason, RoomFor::New);
}
