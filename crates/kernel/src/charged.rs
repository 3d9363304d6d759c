//! What follows from a charge: people are told how full budgets are, and what broke its bounds is stopped.

use std::sync::Arc;

use ringfence_ledger::{AppendError, RoomFor};
use ringfence_types::{ActionId, Budget, Code, IncidentId, Scope, SuspensionId};

use crate::admit::suspended_reason;
use crate::cancel::CutOff;
use crate::fold::{Account, Sum};
use crate::kernel::Inner;
use crate::limits::BUDGET_TOLD_AT;
use crate::model::Charge;
use crate::record::{BudgetRecord, Correction, IncidentRecord, Record, Subject, SuspensionRecord};
use crate::settle::Settled;
use crate::spending::{budgets, share};
use crate::state::State;
use crate::text::bounded;

/// The event of an incident: a call came to more than was set aside.
const OVER_RESERVATION: &str = "over_reservation";

impl Inner {
    /// After a charge was booked.
    pub(crate) fn after_charge(
        &self,
        state: &mut State,
        subject: &Subject,
        action: ActionId,
        charge: &Charge,
    ) {
        if !charge.usd.is_zero() || charge.tokens() > 0 {
            self.tell_budgets(state, subject);
        }
        if charge.is_over() {
            let reason = over_reason(action, charge);
            let _ = self.incident(state, scope_of(subject), OVER_RESERVATION, &reason, RoomFor::Operator);
            self.stop_overspender(state, subject, reason);
        }
        self.doubt(state, subject, action, charge);
    }

    /// Books what a call came to beyond what was set aside, which was booked when it was given up; and what follows.
    pub(crate) fn correct(
        &self,
        state: &mut State,
        settled: &Settled,
        charge: &Charge,
        room: RoomFor<'_>,
    ) -> Result<(), AppendError> {
        let (subject, action) = (&settled.record.subject, settled.record.action);
        let reason = over_reason(action, charge);
        let correction = Correction {
            subject: Arc::clone(subject),
            action,
            cleared_at: settled.cleared_at,
            charge: charge.clone().at_least_reserved(),
        };
        tracing::warn!(event = OVER_RESERVATION, reason, "incident");
        let incident = IncidentRecord {
            incident: self.new_id(IncidentId::new),
            scope: correction.scope(),
            event: OVER_RESERVATION.into(),
            reason: bounded(&reason),
            correction: Some(correction),
        };
        let _ = state.commit(&self.clock, &Record::Incident(incident), Vec::new(), room)?;
        self.tell_budgets(state, subject);
        self.stop_overspender(state, subject, reason);
        self.doubt(state, subject, action, charge);
        Ok(())
    }

    /// What the provider reported was booked, and is not believed.
    pub(crate) fn doubt(&self, state: &mut State, subject: &Subject, action: ActionId, charge: &Charge) {
        if charge.doubtful {
            let reason = format!(
                "what the provider reported of {action} cannot be true or has no price; it was booked at the most it can mean"
            );
            let _ = self.incident(state, scope_of(subject), "doubtful_usage", &reason, RoomFor::Operator);
        }
    }

    /// More was used than was set aside: booked in full, and the run goes no further until a person has looked.
    fn stop_overspender(&self, state: &mut State, subject: &Subject, reason: String) {
        let record = SuspensionRecord {
            suspension: self.new_id(SuspensionId::new),
            active: true,
            scope: Scope { run: Some(subject.run), ..Scope::default() },
            reason,
            until: None,
            by: crate::actor::node_name(),
        };
        let cut = CutOff { code: Code::Suspended, reason: suspended_reason(&record), action: None };
        state.live.cut(&record.scope, &cut);
        // What the log cannot take stops everything anyway.
        let _ = state.commit(&self.clock, &Record::Suspension(record), Vec::new(), RoomFor::Operator);
    }

    /// Tells people of budgets that have filled up since they were told last.
    fn tell_budgets(&self, state: &mut State, subject: &Subject) {
        let (setup, now) = (self.setup.load(), self.clock.now());
        for account in Account::all_of(subject) {
            for budget in &*budgets(state, &setup, &account) {
                let (sum, told) = state.fold.accounts.against(&account, budget, now);
                let Some(percent) = reached(&sum, budget).filter(|percent| *percent > told) else {
                    continue;
                };
                let (usd, tokens) = sum.taken();
                let record = BudgetRecord {
                    account: account.clone(),
                    per: budget.per,
                    percent,
                    usd,
                    tokens,
                    usd_max: budget.usd,
                    tokens_max: budget.tokens,
                };
                tracing::info!(level = %account.level(), percent, "a budget fills up");
                // Not told now, it is told with the next call.
                let _ = state.commit(&self.clock, &Record::Budget(record), Vec::new(), RoomFor::New);
            }
        }
    }
}

/// Whom incidents about an action are about.
fn scope_of(subject: &Subject) -> Scope {
    Scope {
        workspace: Some(subject.workspace.clone()),
        agent: Some(subject.agent.clone()),
        run: Some(subject.run),
        ..Scope::default()
    }
}

fn over_reason(action: ActionId, charge: &Charge) -> String {
    format!("{action} cost {} dollars where at most {} were expected", charge.usd, charge.reserved.usd)
}

/// The highest share at which people are told that a budget has reached.
fn reached(sum: &Sum, budget: &Budget) -> Option<u8> {
    let usd = budget.usd.map(|most| share(sum.usd.nanos(), most.nanos()));
    let tokens = budget.tokens.map(|most| share(sum.tokens, most));
    let most = usd.into_iter().chain(tokens).max()?;
    BUDGET_TOLD_AT.into_iter().rev().find(|percent| most >= u128::from(*percent))
}
