//! Admission: every action takes these steps, in this order (`ARCHITECTURE.md`, "The one path").
//!
//! 1 suspensions · 2 identity and grant · 3 input · 4 policy · 5 limits · 6 approval · 7 budget · 8 one transaction.
//! Steps 1 to 4 only look, without the lock but for a glance; the critical section (`take`) does 1 and 5 to 7 again
//! and takes everything together with the intent's place in the log, or nothing.

use std::borrow::Cow;
use std::sync::Arc;

use ringfence_json::{Object, Value, member_pointer};
use ringfence_ledger::Ticket;
use ringfence_policy::Narrowing;
use ringfence_types::{ActionId, ApprovalId, Code, Digest, Refusal, RuleName, Timestamp};

use crate::ask::{Ask, What};
use crate::fold::{Binding, Kept, Phase, Pinned};
use crate::kernel::Inner;
use crate::objection::Objection;
use crate::pending::Waiting;
use crate::permit::Held;
use crate::proposal::take_continuation;
use crate::record::SuspensionRecord;
use crate::spawn::{Scopes, standing_above, wall_end};
use crate::state::State;
use crate::take::Payloads;
use crate::view::View;
use crate::{
    Admission, Call, EgressClearance, EgressProposal, Kernel, ModelClearance, ModelProposal, Proposal, Run,
    Setup, SpawnClearance, SpawnProposal,
};

/// One proposal on its way.
pub(crate) struct Attempt<'a> {
    pub ask: &'a Ask,
    pub action: ActionId,
    pub scopes: Scopes,
    /// The approval this call has waited for.
    pub resumed: Option<ApprovalId>,
    /// What the agent asked for.
    pub arguments: Object,
    pub requested: Digest,
    pub setup: Arc<Setup>,
}

/// What the critical section decided.
pub(crate) enum Taken {
    Cleared(Held, Ticket),
    /// With the place of the request, if this call made a new one.
    Pending(Box<Waiting>, Option<Ticket>),
    /// Configuration or definition changed in between: look again.
    Stale,
    /// What an approver made of the arguments is on its way to the disk, with this entry: look again when it is there.
    NotYet {
        entry: u64,
    },
    /// What an approver made of the arguments was for other rules than today's: decide on what the agent asked for.
    AsAsked,
}

/// What the glance at the start finds.
pub(crate) struct Glance {
    pub pinned: Option<Pinned>,
    pub binding: Binding,
    /// Payload: the arguments as an approver made them.
    pub narrowed: Option<Kept>,
    /// The rule that the approver answered.
    narrowed_for: Option<RuleName>,
    /// What stood there of an approver's arguments, whether or not they count.
    known: Option<Kept>,
}

impl Kernel {
    /// Decides one action. What it answers is durable: a clearance's intent, a pending call's request.
    pub async fn admit(&self, proposal: Proposal) -> Admission {
        self.admit_again(proposal.into(), None).await
    }

    /// As [`Kernel::admit`], for a call of a model.
    pub async fn admit_model(&self, proposal: ModelProposal) -> Admission<ModelClearance> {
        self.admit_again(proposal.into(), None).await
    }

    /// As [`Kernel::admit`], for a connection or request to a host.
    pub async fn admit_egress(&self, proposal: EgressProposal) -> Admission<EgressClearance> {
        self.admit_again(proposal.into(), None).await
    }

    /// As [`Kernel::admit`], for the start of another run.
    pub async fn admit_spawn(&self, proposal: SpawnProposal) -> Admission<SpawnClearance> {
        self.admit_again(proposal.into(), None).await
    }

    /// As [`Kernel::admit`], for a call that has waited for `resumed`.
    pub(crate) async fn admit_again<C: From<Held>>(
        &self,
        ask: Ask,
        resumed: Option<ApprovalId>,
    ) -> Admission<C> {
        let action = self.0.new_id(ActionId::new);
        let taken = loop {
            match self.0.attempt(&ask, action, resumed) {
                Ok(Taken::Stale) => {}
                Ok(Taken::NotYet { entry }) if self.0.wait_durable(entry + 1).await => {}
                Ok(taken) => break taken,
                Err(refusal) => return Admission::Refused(refusal),
            }
        };
        let durable = match taken {
            Taken::Cleared(held, ticket) => match ticket.durable().await {
                Ok(()) => return self.hand_out(held, &ask),
                // Dropped here, it settles as never sent.
                Err(_) => None,
            },
            Taken::Pending(waiting, None) => Some(waiting),
            Taken::Pending(waiting, Some(ticket)) => ticket.durable().await.is_ok().then_some(waiting),
            // The loop above goes on until it is something else, or the disk does not answer.
            Taken::Stale | Taken::NotYet { .. } | Taken::AsAsked => None,
        };
        match durable {
            Some(waiting) => Admission::Pending(Box::new((*waiting).into())),
            None => Admission::Refused(self.0.refuse(&ask, action, Objection::unavailable(), None)),
        }
    }
}

impl Kernel {
    /// Lets a clearance out, unless something above it was cut off while its intent was on the way to the disk:
    /// nothing was sent yet, so nothing is.
    fn hand_out<C: From<Held>>(&self, held: Held, ask: &Ask) -> Admission<C> {
        let Err(cut) = held.permit().cancel.check() else {
            return Admission::Cleared(held.hand_out().into());
        };
        let action = held.permit().action;
        drop(held);
        Admission::Refused(self.0.refuse(ask, action, Objection::new(cut.code, cut.reason), None))
    }
}

impl Inner {
    /// Runs all steps once.
    fn attempt(
        self: &Arc<Self>,
        ask: &Ask,
        action: ActionId,
        resumed: Option<ApprovalId>,
    ) -> Result<Taken, Refusal> {
        let arguments = ask.arguments();
        let requested = ask.requested(&arguments);
        let setup = self.setup.load_full();
        let attempt = Attempt { ask, action, scopes: ask.scopes(), resumed, arguments, requested, setup };
        let taken = match self.decide(&attempt, true) {
            Ok(Taken::AsAsked) => self.decide(&attempt, false),
            taken => taken,
        };
        taken.map_err(|objection| self.refuse(ask, action, objection, Some(&attempt)))
    }

    /// `narrowed`: whether what an approver made of the arguments counts.
    fn decide(self: &Arc<Self>, attempt: &Attempt<'_>, narrowed: bool) -> Result<Taken, Objection> {
        standing(&self.state.lock(), &attempt.setup, &attempt.ask.run, &attempt.scopes, self.clock.now())?;
        let view = View::of(&attempt.setup, attempt.ask)?;
        let mut glance = self.glance(attempt)?;
        if !narrowed {
            (glance.narrowed, glance.narrowed_for) = (None, None);
        }
        if let Some(kept) = glance.narrowed.filter(|kept| kept.entry >= self.ledger.durable()) {
            return Ok(Taken::NotYet { entry: kept.entry });
        }
        let arguments = self.effective_arguments(attempt, &glance)?;
        let mut weighed = view.weigh(attempt.ask, attempt.requested, glance.pinned.as_ref(), &arguments)?;
        if let Some(rule) = &glance.narrowed_for {
            weighed.verdict.narrowed.extend(narrowings(&attempt.arguments, &arguments, rule));
        }
        let payloads = Payloads::seal(self, attempt, &weighed).ok_or_else(Objection::unavailable)?;
        let verdict = weighed.verdict.clone();
        let facts = weighed.facts.clone();
        self.take(attempt, view, &glance, weighed, payloads).map_err(|objection| Objection {
            verdict: Some(Box::new(verdict)),
            facts,
            ..objection
        })
    }

    /// What the later steps need of the fold.
    fn glance(&self, attempt: &Attempt<'_>) -> Result<Glance, Objection> {
        let now = self.clock.now();
        let state = self.state.lock();
        let pinned = current_definition(&state, attempt.ask)?;
        let binding = Binding {
            run: attempt.ask.run.id,
            target: attempt.ask.target(),
            definition: pinned.map(|pinned| pinned.definition.digest),
            requested: attempt.requested,
        };
        let narrowed = narrowed(&state, &binding, now);
        let request = narrowed.and_then(|_| state.fold.approvals.of(&binding, now));
        let requirement = request.and_then(|request| request.record.requirements.first());
        Ok(Glance {
            known: narrowed,
            narrowed,
            narrowed_for: requirement.map(|requirement| requirement.rule.clone()),
            pinned: pinned.cloned(),
            binding,
        })
    }

    /// What the agent asked for, or what an approver made of it.
    fn effective_arguments(&self, attempt: &Attempt<'_>, glance: &Glance) -> Result<Object, Objection> {
        match glance.narrowed {
            None => Ok(attempt.arguments.clone()),
            Some(kept) => {
                let mut recorded = self.object_payload(&kept).ok_or_else(Objection::unavailable)?;
                // What was approved was approved with the continuation that the call has: it is in the binding.
                take_continuation(&mut recorded);
                Ok(recorded)
            }
        }
    }
}

impl Attempt<'_> {
    /// All that the agent asked for.
    pub(crate) fn recorded(&self) -> Cow<'_, [u8]> {
        self.ask.recorded(&self.arguments)
    }
}

impl Glance {
    /// Whether an approver has said something since.
    pub(crate) fn is_stale(&self, state: &State, now: Timestamp) -> bool {
        narrowed(state, &self.binding, now) != self.known
    }
}

/// Where an approver made less of what the agent asked for: the agent is told.
fn narrowings(asked: &Object, sent: &Object, rule: &RuleName) -> Vec<Narrowing> {
    let changed = asked.iter().filter(|(name, from)| sent.get(name) != Some(*from));
    changed
        .map(|(name, from)| Narrowing {
            pointer: member_pointer("", name),
            from: from.clone(),
            to: sent.get(name).cloned().unwrap_or(Value::Null),
            rule: rule.clone(),
        })
        .collect()
}

/// What an approver made of the arguments of exactly this call, if its approval can be used now.
pub(crate) fn narrowed(state: &State, binding: &Binding, now: Timestamp) -> Option<Kept> {
    let request = state.fold.approvals.of(binding, now).filter(|request| request.is_approved(now));
    request.and_then(|request| request.narrowed)
}

/// Step 1: is anything above this run cut off, and is the run still to act at all?
pub(crate) fn standing(
    state: &State,
    setup: &Setup,
    run: &Run,
    scopes: &Scopes,
    now: Timestamp,
) -> Result<(), Objection> {
    if state.stopping {
        return Err(Objection::new(Code::Overloaded, "The node is stopping. Try again in a moment."));
    }
    if let Some(suspension) = state.fold.suspensions.covering(scopes, now) {
        return Err(Objection::new(Code::Suspended, suspended_reason(suspension)));
    }
    let Some(known) = state.fold.runs.get(run.id).filter(|_| now < run.expires_at) else {
        return Err(Objection::new(Code::Deadline, "This run's token has expired."));
    };
    if let Some((_, reason)) = &known.ended {
        return Err(Objection::new(Code::Suspended, format!("This run was ended: {reason}")));
    }
    if known.phase() == Some(Phase::Stopping) {
        return Err(Objection::new(Code::Suspended, "This run is being ended."));
    }
    if setup.holder(run).is_none() {
        return Err(Objection::new(Code::NotGranted, "The agent of this run is configured no more."));
    }
    if wall_end(state, setup, run).is_some_and(|end| now >= end) {
        return Err(Objection::new(Code::Deadline, "This run's time is up. Finish with what you have."));
    }
    run.above.iter().try_for_each(|ancestor| standing_above(state, setup, ancestor.run, now))
}

/// What agents are told of a suspension.
pub(crate) fn suspended_reason(suspension: &SuspensionRecord) -> String {
    let by_node = suspension.by == crate::actor::node_name();
    let who = if by_node { "stopped" } else { "suspended by an operator" };
    format!("This was {who}: {}. Do not try again; tell the user.", suspension.reason)
}

/// The definition that a tool call is held against: pinned, and the one the server gives now.
pub(crate) fn current_definition<'s>(state: &'s State, ask: &Ask) -> Result<Option<&'s Pinned>, Objection> {
    let What::Server { server, call: Call::Tool { tool, .. } } = &ask.what else { return Ok(None) };
    let run = &ask.run;
    let Some(pin) = state.fold.pins.get(&run.workspace, server, tool.as_str()) else {
        let reason = format!("{server} has no tool {tool}. Use one of the tools it lists.");
        return Err(Objection::new(Code::NotGranted, reason));
    };
    pin.current().map(Some).ok_or_else(|| {
        let reason = format!(
            "The definition of {server}/{tool} is not one that was approved; an operator has to look at it first. Use another tool."
        );
        Objection::new(Code::DefinitionChanged, reason)
    })
}
