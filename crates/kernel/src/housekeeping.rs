//! What has to be done from time to time.

use std::sync::Arc;

use ringfence_ledger::RoomFor;
use ringfence_types::{Code, Scope};
use tokio::time::{MissedTickBehavior, interval};

use crate::cancel::CutOff;
use crate::kernel::Inner;
use crate::limits::{CLOCK_JUMP, FORGETTING_ROUNDS, HOUSEKEEPING, OVERDUE};
use crate::record::{Answer, Record};
use crate::state::State;
use crate::{Actor, Kernel};

impl Kernel {
    /// Runs until the node stops: expires requests, settles the overdue, writes counted refusals and snapshots,
    /// watches the clock, and rejoins a log that failed.
    pub async fn housekeeping(self) {
        let mut ticks = interval(HOUSEKEEPING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in (0..FORGETTING_ROUNDS).cycle() {
            ticks.tick().await;
            if self.0.state.lock().stopping {
                return;
            }
            self.look_around(round == 0).await;
        }
    }

    /// One round of housekeeping, with everything that belongs to it.
    pub async fn tend(&self) {
        self.look_around(true).await;
    }

    async fn look_around(&self, forgets: bool) {
        if let Err(error) = self.0.rejoin() {
            tracing::error!(%error, "the log cannot be rejoined; nothing is admitted");
            return;
        }
        {
            let mut state = self.0.state.lock();
            self.0.write_unwritten(&mut state);
            self.0.expire(&mut state);
            self.0.settle_overdue(&mut state);
            self.0.cut_leases(&mut state);
            self.0.write_due_refusals(&mut state, false);
            self.0.watch_clock(&mut state);
            if forgets {
                self.0.forget(&mut state);
            }
        }
        self.0.snapshot_if_due().await;
        self.0.prune_if_due().await;
    }
}

fn overdue_cut() -> CutOff {
    CutOff {
        code: Code::Deadline,
        reason: "This call was given up: its time is long over.".into(),
        action: None,
    }
}

impl Inner {
    fn expire(&self, state: &mut State) {
        for approval in state.fold.approvals.lapsed(self.clock.now()) {
            let Some(request) = state.fold.approvals.get(approval) else { continue };
            let record = self.answer(request, Answer::Expired, &Actor::node(), None);
            // Not written now, it is written at the next round; its time is over either way.
            let _ = state.commit(&self.clock, &Record::Approval(record), Vec::new(), RoomFor::Operator);
            state.wake_all(approval);
        }
    }

    /// An action that is long over its deadline was forgotten by whoever had the clearance.
    fn settle_overdue(&self, state: &mut State) {
        let now = self.clock.now();
        let overdue = state.fold.open.iter().filter(|(_, open)| now > open.deadline.after(OVERDUE));
        let overdue: Vec<_> = overdue.map(|(action, _)| *action).collect();
        for action in overdue {
            let Some(record) = self.unknown_outcome(state, action) else { continue };
            let subject = Arc::clone(&record.subject);
            if state.commit(&self.clock, &Record::Outcome(record), Vec::new(), RoomFor::Operator).is_err() {
                continue;
            }
            // Whoever has it may still hang on to it: what it does now is no longer heard.
            if state.live.give_up(action, &overdue_cut()) {
                state.give_turn_back(&subject);
            }
            let upstream = subject.target.upstream();
            let key = upstream.map(|upstream| (subject.workspace.clone(), upstream));
            if let Some(breaker) = key.and_then(|key| state.breakers.get_mut(&key)) {
                breaker.lost(now);
            }
        }
    }

    pub(crate) fn write_due_refusals(&self, state: &mut State, all: bool) {
        for record in state.refusals.due(self.clock.now(), all) {
            // A count that the log cannot take is lost with the disk's room; the first ones stand there.
            let _ = state.commit(&self.clock, &Record::Refusal(record), Vec::new(), RoomFor::New);
        }
    }

    fn watch_clock(&self, state: &mut State) {
        let Some(jump) = self.clock.jump(CLOCK_JUMP) else { return };
        let direction = if jump.forward { "forward" } else { "back" };
        let reason = format!(
            "the wall clock was set {direction} by {} s; log time goes on unmoved until the node starts again",
            jump.by.as_secs()
        );
        let _ = self.incident(state, Scope::default(), "clock_jump", &reason, RoomFor::Operator);
    }

    /// Forgets what decides nothing any more.
    fn forget(&self, state: &mut State) {
        let (setup, now) = (self.setup.load(), self.clock.now());
        state.fold.prune(now);
        let known = &setup.workspaces;
        let budgets = |name: &_| known.get(name).map(|workspace| &workspace.budgets.conversation[..]);
        state.fold.accounts.forget_silent(known.len(), budgets, now);
        let runs = &state.fold.runs;
        state.runs.retain(|run, guard| {
            guard.in_flight > 0 || runs.get(*run).is_some_and(|known| known.ended.is_none())
        });
    }
}
