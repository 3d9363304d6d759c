//! Step 6: is there an approval for exactly this action?

use std::sync::Arc;
use std::time::Duration;

use ringfence_ledger::RoomFor;
use ringfence_types::{ApprovalId, Code, Digest, Timestamp};

use crate::admit::{Attempt, Taken};
use crate::fold::{ApprovalState, Binding, Request};
use crate::kernel::Inner;
use crate::limits::{WAITERS_PER_APPROVAL_MAX, WAITING_MAX, WAITING_PER_RUN_MAX};
use crate::objection::Objection;
use crate::pending::Waiting;
use crate::record::{PendingRecord, Record};
use crate::state::State;
use crate::take::Payloads;
use crate::weigh::Weighed;

/// How an action stands to approvals.
pub(crate) enum Approved {
    /// No rule asks for one, and nobody narrowed it.
    NotNeeded,
    /// This one is spent on it.
    Spend(ApprovalId),
    /// This one is waited for, with others.
    Join(ApprovalId),
    /// A new one has to be asked for.
    Ask,
}

/// Looks for the approval of exactly this call. Takes nothing.
pub(crate) fn approval(
    state: &State,
    attempt: &Attempt<'_>,
    binding: &Binding,
    weighed: &Weighed,
    now: Timestamp,
) -> Result<Approved, Objection> {
    let needed = !weighed.verdict.approvals.is_empty();
    let known = state.fold.approvals.of(binding, now).cloned();
    let Some(request) = known else {
        return if needed { ask_or_tell(state, attempt) } else { Ok(Approved::NotNeeded) };
    };
    let approval = request.record.approval;
    match &request.state {
        ApprovalState::Denied { note, .. } if needed => Err(denied(&request, note.as_deref())),
        ApprovalState::Approved { .. } if covers(&request, request.final_digest, weighed) => {
            // Whoever has waited longest goes first.
            let first = attempt.resumed == Some(approval) || state.waiting(approval) == 0;
            Ok(if first { Approved::Spend(approval) } else { Approved::Join(approval) })
        }
        // What the first of several approvers made of the arguments counts only once all have agreed.
        ApprovalState::Waiting { .. } if needed && covers(&request, request.record.final_digest, weighed) => {
            Ok(Approved::Join(approval))
        }
        _ if needed => Ok(Approved::Ask),
        _ => Ok(Approved::NotNeeded),
    }
}

impl Inner {
    /// Asks people: a new request, which this call is the first to wait for.
    pub(crate) fn ask(
        self: &Arc<Self>,
        state: &mut State,
        attempt: &Attempt<'_>,
        binding: &Binding,
        weighed: &Weighed,
        payloads: Payloads,
        now: Timestamp,
    ) -> Result<Taken, Objection> {
        bounded_waiting(state, attempt, now)?;
        let approval = self.new_id(ApprovalId::new);
        let older = state.fold.approvals.newest(binding);
        let requirements = weighed.verdict.approvals.clone();
        let wait = requirements.iter().map(|requirement| requirement.expires).min().unwrap_or_default();
        let record = PendingRecord {
            subject: attempt.subject(),
            approval,
            action: attempt.action,
            requested: attempt.requested,
            final_digest: weighed.final_digest,
            definition: weighed.definition.as_ref().map(|definition| definition.digest),
            arguments: payloads.arguments.name(),
            final_arguments: payloads.final_name(),
            requirements,
            expires_at: now.after(wait),
            facts: weighed.facts.clone(),
            config: attempt.setup.digest,
        };
        let ticket = state
            .commit(&self.clock, &Record::Pending(record), payloads.into_list(), RoomFor::New)
            .map_err(|_| Objection::unavailable())?;
        state.counts.pending += 1;
        let pending = self.wait_for(state, attempt, weighed, approval)?;
        if let Some(older) = older {
            // Whoever waits for a request that this one replaces joins this one.
            state.wake_all(older);
        }
        Ok(Taken::Pending(pending, Some(ticket)))
    }

    /// A call that waits for a request that stands already.
    pub(crate) fn wait_for(
        self: &Arc<Self>,
        state: &mut State,
        attempt: &Attempt<'_>,
        weighed: &Weighed,
        approval: ApprovalId,
    ) -> Result<Box<Waiting>, Objection> {
        if state.waiting(approval) >= WAITERS_PER_APPROVAL_MAX {
            let reason = "Too many identical calls wait for this approval already. Wait for it.";
            let objection = Objection::new(Code::Overloaded, reason).retry_after(Duration::from_secs(5));
            return Err(Objection { approval: Some(approval), ..objection });
        }
        let (live, cancel) = state.live.insert(attempt.scopes.clone(), Some(attempt.action));
        let woken = state.line_up(approval, live);
        let rule = state.fold.approvals.get(approval).and_then(|request| request.record.requirements.first());
        let rule = rule.map(|requirement| requirement.rule.clone());
        Ok(Box::new(Waiting::new(Arc::clone(self), attempt, weighed, approval, rule, woken, live, cancel)))
    }
}

/// Whether the request, for which `sent` would be sent, answers today's rules for what would be sent today.
fn covers(request: &Request, sent: Digest, weighed: &Weighed) -> bool {
    let answered = |needed| request.record.requirements.contains(needed);
    sent == weighed.final_digest && weighed.verdict.approvals.iter().all(answered)
}

/// Nothing is known of this call: ask, or tell what became of the request it has waited for.
fn ask_or_tell(state: &State, attempt: &Attempt<'_>) -> Result<Approved, Objection> {
    let waited_for = attempt.resumed.and_then(|approval| state.fold.approvals.get(approval));
    match waited_for {
        Some(request) if matches!(request.state, ApprovalState::Expired { .. }) => {
            let reason =
                "Nobody answered the request for approval in time. Ask again only if it still matters.";
            let objection = Objection::new(Code::ApprovalExpired, reason);
            Err(Objection { approval: Some(request.record.approval), ..objection })
        }
        _ => Ok(Approved::Ask),
    }
}

fn denied(request: &Request, note: Option<&str>) -> Objection {
    let note = note.map(|note| format!(" They said: {note}")).unwrap_or_default();
    let reason = format!("A person refused to approve this call.{note} Do not ask again; do something else.");
    let rule = request.record.requirements.first().map(|requirement| requirement.rule.clone());
    let objection = Objection::new(Code::ApprovalDenied, reason).rule(rule);
    Objection { approval: Some(request.record.approval), ..objection }
}

fn bounded_waiting(state: &State, attempt: &Attempt<'_>, now: Timestamp) -> Result<(), Objection> {
    let approvals = &state.fold.approvals;
    let run = attempt.ask.run.id;
    if approvals.waiting(Some(run), now) < WAITING_PER_RUN_MAX && approvals.waiting(None, now) < WAITING_MAX {
        return Ok(());
    }
    let reason = "Too many requests for approval are waiting already. Wait until some are answered.";
    Err(Objection::new(Code::Overloaded, reason).retry_after(Duration::from_secs(10)))
}
