//! Step 8: one critical section. Suspension, limits and approval are looked at again and taken together with the
//! intent's place in the log; or nothing is taken.

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::Object;
use ringfence_ledger::{RoomFor, SealedPayload};
use ringfence_policy::Verdict;
use ringfence_types::{ApprovalId, Decision, Digest, RuleName, Timestamp};
use tokio::time::Instant;

use crate::admit::{Attempt, Glance, Taken, current_definition, standing};
use crate::approving::{self, Approved};
use crate::ask::What;
use crate::check;
use crate::guard::Breaker;
use crate::kernel::Inner;
use crate::model::{Fit, Meter, Terms, fit};
use crate::objection::Objection;
use crate::permit::{Cleared, Held, Permit, Probes};
use crate::record::{Intent, Record, Subject};
use crate::spawn::{take_start, time_left};
use crate::state::State;
use crate::view::{Part, View};
use crate::weigh::{Sent, Weighed};

/// What the intent or the request refers to, sealed before the lock is taken.
pub(crate) struct Payloads {
    pub arguments: SealedPayload,
    /// What is sent, if that is something else.
    pub final_arguments: Option<SealedPayload>,
}

impl Payloads {
    /// Nothing when the disk has no room for them: then nothing is dispatched either.
    pub(crate) fn seal(inner: &Inner, attempt: &Attempt<'_>, weighed: &Weighed) -> Option<Self> {
        let seal = |content: &[u8]| inner.seal(&attempt.ask.run.workspace, content);
        let final_arguments =
            if weighed.final_digest == attempt.requested { None } else { Some(seal(&weighed.recorded())?) };
        Some(Self { arguments: seal(&attempt.recorded())?, final_arguments })
    }

    pub(crate) fn final_name(&self) -> Option<Digest> {
        self.final_arguments.as_ref().map(SealedPayload::name)
    }

    pub(crate) fn into_list(self) -> Vec<SealedPayload> {
        let mut list = vec![self.arguments];
        list.extend(self.final_arguments);
        list
    }
}

impl Inner {
    /// Steps 5 to 8.
    pub(crate) fn take(
        self: &Arc<Self>,
        attempt: &Attempt<'_>,
        view: View<'_>,
        glance: &Glance,
        weighed: Weighed,
        payloads: Payloads,
    ) -> Result<Taken, Objection> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let now = self.clock.now();
        standing(state, &attempt.setup, &attempt.ask.run, &attempt.scopes, now)?;
        let definition = current_definition(state, attempt.ask)?.map(|pinned| pinned.definition.digest);
        let stale = definition != glance.binding.definition
            || !Arc::ptr_eq(&attempt.setup, &self.setup.load())
            || glance.is_stale(state, now);
        if stale {
            return Ok(Taken::Stale);
        }
        check::limits(state, attempt, view, &weighed, now)?;
        let approval = match approving::approval(state, attempt, &glance.binding, &weighed, now)? {
            Approved::NotNeeded => None,
            Approved::Spend(approval) => Some(approval),
            Approved::Join(approval) => {
                return self.wait_for(state, attempt, &weighed, approval).map(|it| Taken::Pending(it, None));
            }
            Approved::Ask if glance.narrowed.is_some() => return Ok(Taken::AsAsked),
            Approved::Ask => return self.ask(state, attempt, &glance.binding, &weighed, payloads, now),
        };
        self.clear(state, attempt, view, weighed, payloads, approval, now)
    }

    /// Takes everything.
    #[expect(clippy::too_many_arguments, reason = "one transaction over all that was found out")]
    fn clear(
        self: &Arc<Self>,
        state: &mut State,
        attempt: &Attempt<'_>,
        view: View<'_>,
        weighed: Weighed,
        payloads: Payloads,
        approval: Option<ApprovalId>,
        now: Timestamp,
    ) -> Result<Taken, Objection> {
        let sent = cleared(state, attempt, view, weighed.sent, now)?;
        let room = state.journal.reserve_outcome().map_err(|_| Objection::unavailable())?;
        let (allowed, ends_with_run) = allowed_time(state, attempt, view, &weighed.verdict, now);
        let subject = Arc::new(attempt.subject());
        let intent = Intent {
            arguments: payloads.arguments.name(),
            final_arguments: payloads.final_name(),
            definition: weighed.definition.as_ref().map(|definition| definition.digest),
            approval,
            deadline: now.after(allowed),
            facts: weighed.facts,
            ..intent(state, attempt, &weighed.verdict, &sent)
        };
        let decision = intent.decision;
        let ticket = state
            .commit(&self.clock, &Record::Intent(intent), payloads.into_list(), RoomFor::New)
            .map_err(|_| Objection::unavailable())?;
        let probes = take_limits(state, attempt, view, &weighed.verdict, now);
        if let Some(approval) = approval {
            // The others that waited for this one need a request of their own.
            state.wake_all(approval);
        }
        let (live, cancel) = state.live.insert(attempt.scopes.clone(), Some(attempt.action));
        let cleared_at = Instant::now();
        let permit = Permit {
            shared: Arc::clone(self),
            action: attempt.action,
            run: Arc::clone(&attempt.ask.run),
            subject,
            call_digest: attempt.call_digest(),
            sent,
            narrowed: weighed.verdict.narrowed,
            definition: weighed.definition,
            obligations: weighed.verdict.obligations,
            deadline: cleared_at + allowed,
            cleared_at,
            recorded_at: ticket.at(),
            cancel,
            live,
            room,
            probes,
            handed_out: false,
            config: attempt.setup.digest,
            ends_with_run,
            decision,
        };
        Ok(Taken::Cleared(Held::new(Box::new(permit)), ticket))
    }
}

/// What goes out; for a model, step 7: what it may use, and what is set aside for it.
fn cleared(
    state: &State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    sent: Sent,
    now: Timestamp,
) -> Result<Cleared, Objection> {
    let demand = match sent {
        Sent::Call(call) => return Ok(Cleared::Call(call)),
        Sent::Egress(call) => return Ok(Cleared::Egress(call)),
        Sent::Spawn(call) => return Ok(Cleared::Spawn(call)),
        Sent::Model(demand) => demand,
    };
    // A demand is weighed for a model only.
    let (Part::Model(setup), Some(call)) = (view.part, attempt.ask.model()) else {
        return Err(Objection::unavailable());
    };
    let fit = if call.cached {
        Fit::of_nothing(&demand)
    } else {
        fit(state, &attempt.subject(), view, setup, &demand, now)?
    };
    Ok(Cleared::Model(Box::new(Terms {
        call: call.clone(),
        setup: Arc::clone(setup),
        named: call.named.as_ref().and_then(|named| view.workspace.models.get(named)).map(Arc::clone),
        demand,
        output: fit.output,
        lowered: fit.lowered,
        reservation: fit.reservation,
        meter: Meter::default(),
    })))
}

/// How long the upstream may take: the least of the server's bound, the rules' and what is left of the run, of its token and of
/// those above it; and whether it is one of the latter two.
fn allowed_time(
    state: &State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    verdict: &Verdict,
    now: Timestamp,
) -> (Duration, bool) {
    let left = time_left(state, &attempt.setup, &attempt.ask.run, now);
    let bound = view.call_timeout();
    let upstream = verdict.obligations.timeout.map_or(bound, |timeout| timeout.min(bound));
    (upstream.min(left), left < upstream)
}

/// Takes what the limits allow. Returns of which breakers this call is the probe.
fn take_limits(
    state: &mut State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    verdict: &Verdict,
    now: Timestamp,
) -> Probes {
    let run = &attempt.ask.run;
    for limit in &verdict.obligations.rates {
        state.meters.entry((run.workspace.clone(), limit.rule.clone())).or_default().take(limit.rate, now);
    }
    if attempt.ask.target().takes_turn() {
        state.take_turn(&attempt.subject());
    }
    if matches!(attempt.ask.what, What::Spawn(_)) {
        take_start(state, run, now);
    }
    state.counts.cleared += 1;
    state.counts.narrowed += u64::from(!verdict.narrowed.is_empty());
    let of_run = attempt
        .ask
        .model()
        .is_some_and(|call| state.guard(run.id).loops.cleared(call.trail.as_ref(), view.agent.models.loops));
    let upstream = attempt.ask.target().upstream().filter(|_| !check::is_cached(attempt));
    let breaker = upstream.and_then(|upstream| state.breakers.get_mut(&(run.workspace.clone(), upstream)));
    Probes { of_upstream: breaker.is_some_and(Breaker::take), of_run }
}

/// The intent without what only the transaction knows.
fn intent(state: &State, attempt: &Attempt<'_>, verdict: &Verdict, sent: &Cleared) -> Intent {
    let terms = match sent {
        Cleared::Call(_) | Cleared::Egress(_) | Cleared::Spawn(_) => None,
        Cleared::Model(terms) => Some(terms),
    };
    let previous = state.fold.runs.get(attempt.ask.run.id).and_then(|run| run.last_action);
    let previous = terms.and_then(|terms| terms.call.instead_of).or(previous);
    Intent {
        subject: attempt.subject(),
        action: attempt.action,
        decision: verdict.decision,
        rule: verdict.rule.clone(),
        rules: rules(verdict),
        shadow: shadow(verdict),
        arguments: attempt.requested,
        final_arguments: None,
        narrowed: verdict.narrowed.iter().map(|each| (each.pointer.clone(), each.rule.clone())).collect(),
        definition: None,
        approval: None,
        deadline: Timestamp::default(),
        parents: previous.into_iter().collect(),
        reservation: terms.map(|terms| terms.reservation),
        output: terms.and_then(|terms| terms.output),
        facts: Object::new(),
        config: attempt.setup.digest,
    }
}

/// The names of all rules that matched.
pub(crate) fn rules(verdict: &Verdict) -> Vec<RuleName> {
    verdict.matched.iter().map(|matched| matched.rule.clone()).collect()
}

/// What rules in shadow would have said.
pub(crate) fn shadow(verdict: &Verdict) -> Vec<(RuleName, Decision)> {
    verdict.shadowed.iter().map(|shadowed| (shadowed.rule.clone(), shadowed.decision)).collect()
}

impl Attempt<'_> {
    pub(crate) fn subject(&self) -> Subject {
        self.ask.subject()
    }

    /// What makes two calls the same when repetition is looked for.
    pub(crate) fn call_digest(&self) -> Digest {
        let mut text = self.ask.target().distinct();
        text.extend_from_slice(self.requested.as_bytes());
        Digest::of(&text)
    }
}
