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
use crate::check;
use crate::clearance::{Clearance, Permit};
use crate::guard::Breaker;
use crate::kernel::Inner;
use crate::record::{Intent, Record, Subject};
use crate::state::State;
use crate::weigh::{Objection, View, Weighed};

/// What the intent or the request refers to, sealed before the lock is taken.
pub(crate) struct Payloads {
    pub arguments: SealedPayload,
    /// What is sent, if that is something else.
    pub final_arguments: Option<SealedPayload>,
}

impl Payloads {
    /// Nothing when the disk has no room for them: then nothing is dispatched either.
    pub(crate) fn seal(inner: &Inner, attempt: &Attempt<'_>, weighed: &Weighed) -> Option<Self> {
        let seal =
            |arguments: &Object| inner.seal(&attempt.proposal.run.workspace, &arguments.to_canonical());
        let final_arguments = if weighed.final_digest == attempt.requested {
            None
        } else {
            {
                let sent = weighed.final_call.arguments();
                Some(seal(&weighed.final_call.recorded(&sent))?)
            }
        };
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
        standing(state, &attempt.setup, &attempt.proposal.run, &attempt.scope, now)?;
        let definition = current_definition(state, attempt.proposal)?.map(|pinned| pinned.definition.digest);
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
        let room = state.journal.reserve_outcome().map_err(|_| Objection::unavailable())?;
        let (allowed, ends_with_run) = allowed_time(state, attempt, view, &weighed, now);
        let subject = Arc::new(attempt.subject());
        let intent = intent(state, attempt, &weighed, &payloads, approval, now.after(allowed));
        let decision = intent.decision;
        let ticket = state
            .commit(&self.clock, &Record::Intent(intent), payloads.into_list(), RoomFor::New)
            .map_err(|_| Objection::unavailable())?;
        let probe = take_limits(state, attempt, &weighed, now);
        if let Some(approval) = approval {
            // The others that waited for this one need a request of their own.
            state.wake_all(approval);
        }
        let (live, cancel) = state.live.insert(attempt.scope.clone(), Some(attempt.action));
        let cleared_at = Instant::now();
        let permit = Permit {
            shared: Arc::clone(self),
            action: attempt.action,
            run: Arc::clone(&attempt.proposal.run),
            subject,
            server: attempt.proposal.server.clone(),
            call_digest: attempt.call_digest(),
            call: weighed.final_call,
            narrowed: weighed.verdict.narrowed,
            definition: weighed.definition,
            obligations: weighed.verdict.obligations,
            deadline: cleared_at + allowed,
            cleared_at,
            cancel,
            live,
            room,
            probe,
            handed_out: false,
            config: attempt.setup.digest,
            ends_with_run,
            decision,
        };
        Ok(Taken::Cleared(Clearance::new(Box::new(permit)), ticket))
    }
}

/// How long the upstream may take: the least of the server's bound, the rules' and what is left of the run and of its
/// token; and whether it is one of the latter two.
fn allowed_time(
    state: &State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    weighed: &Weighed,
    now: Timestamp,
) -> (Duration, bool) {
    let run = state.fold.runs.get(attempt.proposal.run.id);
    let started = run.and_then(|run| run.first_used).unwrap_or(now);
    let left = view.agent.limits.wall.map(|wall| started.after(wall).since(now));
    let left = left.into_iter().chain([attempt.proposal.run.expires_at.since(now)]).min().unwrap_or_default();
    let upstream = weighed
        .verdict
        .obligations
        .timeout
        .map_or(view.server.call_timeout, |timeout| timeout.min(view.server.call_timeout));
    (upstream.min(left), left < upstream)
}

/// Takes what the limits allow. Returns whether this call is a breaker's probe.
fn take_limits(state: &mut State, attempt: &Attempt<'_>, weighed: &Weighed, now: Timestamp) -> bool {
    let run = &attempt.proposal.run;
    for limit in &weighed.verdict.obligations.rates {
        state.meters.entry((run.workspace.clone(), limit.rule.clone())).or_default().take(limit.rate, now);
    }
    state.guard(run.id).in_flight += 1;
    state.counts.cleared += 1;
    state.counts.narrowed += u64::from(!weighed.verdict.narrowed.is_empty());
    let key = (run.workspace.clone(), attempt.proposal.server.clone());
    state.breakers.get_mut(&key).is_some_and(Breaker::take)
}

fn intent(
    state: &State,
    attempt: &Attempt<'_>,
    weighed: &Weighed,
    payloads: &Payloads,
    approval: Option<ApprovalId>,
    deadline: Timestamp,
) -> Intent {
    let verdict = &weighed.verdict;
    let previous = state.fold.runs.get(attempt.proposal.run.id).and_then(|run| run.last_action);
    Intent {
        subject: attempt.subject(),
        action: attempt.action,
        decision: verdict.decision,
        rule: verdict.rule.clone(),
        rules: rules(verdict),
        shadow: shadow(verdict),
        arguments: payloads.arguments.name(),
        final_arguments: payloads.final_name(),
        narrowed: verdict.narrowed.iter().map(|each| (each.pointer.clone(), each.rule.clone())).collect(),
        definition: weighed.definition.as_ref().map(|definition| definition.digest),
        approval,
        deadline,
        parents: previous.into_iter().collect(),
        facts: weighed.facts.clone(),
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
        Subject::of(&self.proposal.run, &self.proposal.server, self.proposal.call.tool_name())
    }

    /// What makes two calls the same when repetition is looked for.
    pub(crate) fn call_digest(&self) -> Digest {
        let mut text = Vec::with_capacity(128);
        for part in [self.proposal.server.as_str(), self.proposal.call.tool_name()] {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        text.extend_from_slice(self.requested.as_bytes());
        Digest::of(&text)
    }
}
