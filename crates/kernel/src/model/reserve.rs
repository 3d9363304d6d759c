//! Step 7: does the worst case fit every budget? What does not fit is lowered to what fits.

use std::time::Duration;

use ringfence_types::{Budget, Code, Level, Money, Timestamp, Unpriced, Window};

use super::{Demand, Reservation};
use crate::fold::Account;
use crate::objection::Objection;
use crate::record::Subject;
use crate::setup::{AgentSetup, ModelSetup, WorkspaceSetup};
use crate::state::State;
use crate::view::View;

/// What a call may write and what is set aside for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    pub output: Option<u64>,
    pub lowered: bool,
    pub reservation: Reservation,
}

/// The budget that leaves least.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocked {
    level: Level,
    per: Option<Window>,
}

/// What is left, and what leaves no more.
#[derive(Debug, Clone, Copy)]
struct Left {
    usd: Option<(Money, Blocked)>,
    tokens: Option<(u64, Blocked)>,
}

/// The budgets that hold for an account.
pub(crate) fn budgets_of<'a>(
    account: &Account,
    workspace: &'a WorkspaceSetup,
    agent: Option<&'a AgentSetup>,
) -> &'a [Budget] {
    match account {
        Account::Run(_) => agent.map_or(&[], |agent| &agent.models.budgets),
        Account::Conversation(..) => &workspace.budgets.conversation,
        Account::Agent(..) => &workspace.budgets.agent,
        Account::User(..) => &workspace.budgets.user,
        Account::Workspace(_) => &workspace.budgets.workspace,
    }
}

/// What fits every budget of a subject. Takes nothing.
pub(crate) fn fit(
    state: &State,
    subject: &Subject,
    view: View<'_>,
    model: &ModelSetup,
    demand: &Demand,
    now: Timestamp,
) -> Result<Fit, Objection> {
    let left = left(state, subject, view.workspace, view.agent, now);
    let reserve = |output: u64| {
        let usd = model.price.worst(&demand.worst(output)).map_err(|error| unpriced(&error))?;
        Ok(Reservation { usd, tokens: demand.tokens(output) })
    };
    let asked = demand.output.unwrap_or(0);
    let whole = reserve(asked)?;
    let blocked = left.blocks(whole);
    let Some(blocked) = blocked else {
        return Ok(Fit { output: demand.output, lowered: false, reservation: whole });
    };
    let fits = left.output(demand, model).map_err(|error| unpriced(&error))?;
    // What was asked for may be less than the floor itself.
    let least = model.floor.min(asked);
    match fits.filter(|fits| demand.output.is_some() && *fits >= least.max(1)) {
        Some(fits) => Ok(Fit { output: Some(fits), lowered: true, reservation: reserve(fits)? }),
        None => Err(blocked.objection(now)),
    }
}

fn left(
    state: &State,
    subject: &Subject,
    workspace: &WorkspaceSetup,
    agent: &AgentSetup,
    now: Timestamp,
) -> Left {
    let mut left = Left { usd: None, tokens: None };
    for account in Account::all_of(subject) {
        for budget in budgets_of(&account, workspace, Some(agent)) {
            let (sum, _) = state.fold.accounts.against(&account, budget, now);
            let (usd, tokens) = sum.taken();
            let by = Blocked { level: account.level(), per: budget.per };
            if let Some(rest) = budget.usd.map(|most| most.minus(usd))
                && left.usd.is_none_or(|(least, _)| rest < least)
            {
                left.usd = Some((rest, by));
            }
            if let Some(rest) = budget.tokens.map(|most| most.saturating_sub(tokens))
                && left.tokens.is_none_or(|(least, _)| rest < least)
            {
                left.tokens = Some((rest, by));
            }
        }
    }
    left
}

fn unpriced(error: &Unpriced) -> Objection {
    let reason = format!("{error}, so it cannot be kept within a budget. Ask without it.");
    Objection::new(Code::InvalidInput, reason)
}

// === impl Fit ===

impl Fit {
    /// Nothing is used.
    pub(crate) fn of_nothing(demand: &Demand) -> Self {
        Self { output: demand.output, lowered: false, reservation: Reservation::default() }
    }
}

// === impl Left ===

impl Left {
    /// Whether this does not fit, and why not.
    fn blocks(&self, needed: Reservation) -> Option<Blocked> {
        let usd = self.usd.filter(|(rest, _)| needed.usd > *rest).map(|(_, by)| by);
        usd.or_else(|| self.tokens.filter(|(rest, _)| needed.tokens > *rest).map(|(_, by)| by))
    }

    /// How many tokens each answer may have.
    fn output(&self, demand: &Demand, model: &ModelSetup) -> Result<Option<u64>, Unpriced> {
        let by_money = match self.usd {
            None => Some(u64::MAX),
            Some((rest, _)) => model.price.output_within(&demand.worst(0), rest)?,
        };
        let by_tokens = self.tokens.map_or(Some(u64::MAX), |(rest, _)| rest.checked_sub(demand.input));
        let each = by_money.zip(by_tokens).map(|(money, tokens)| money.min(tokens) / demand.answers.max(1));
        let fits = each.and_then(|each| each.checked_sub(demand.extra));
        Ok(fits.map(|fits| fits.min(demand.output.unwrap_or(0))))
    }
}

// === impl Blocked ===

impl Blocked {
    fn objection(self, now: Timestamp) -> Objection {
        let whose = match self.level {
            Level::Run => "this run",
            Level::Conversation => "this conversation",
            Level::Agent => "this agent",
            Level::User => "this user",
            Level::Workspace => "this workspace",
        };
        let (when, wait) = match self.per {
            None => (String::new(), None),
            Some(window) => {
                let (_, end) = window.around(now);
                (format!(" for this {window}"), Some(end.since(now)))
            }
        };
        let reason = format!(
            "The budget of {whose}{when} does not cover this call. Finish with what you have, or ask for less."
        );
        Objection {
            retry_after: wait.map(|wait| wait.max(Duration::from_secs(1))),
            ..Objection::new(Code::OverBudget, reason)
        }
    }
}
