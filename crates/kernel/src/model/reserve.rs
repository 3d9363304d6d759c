//! Step 7: does the worst case fit every budget? What does not fit is lowered to what fits.

use std::borrow::Cow;
use std::time::Duration;

use ringfence_types::{Budget, Code, Level, Money, RunId, Shortfall, Timestamp, Unpriced, Window};

use super::{Demand, Reservation};
use crate::fold::Account;
use crate::objection::Objection;
use crate::record::Subject;
use crate::setup::{ModelSetup, WorkspaceSetup};
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
    /// It is that of a run that stands above, or of its agent.
    is_above: bool,
    per: Option<Window>,
    what: Bound,
}

/// What of a budget is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Usd,
    Tokens,
}

/// What is left, and what leaves no more.
#[derive(Debug, Clone, Copy)]
struct Left {
    usd: Option<(Money, Blocked)>,
    tokens: Option<(u64, Blocked)>,
}

/// The budgets that hold for an account at present.
pub(crate) fn budgets_of<'a>(
    state: &State,
    account: &Account,
    workspace: &'a WorkspaceSetup,
) -> Cow<'a, [Budget]> {
    Cow::Borrowed(match account {
        Account::Run(run) => return budgets_of_run(state, *run, workspace),
        Account::Conversation(..) => &workspace.budgets.conversation,
        Account::Agent(..) => &workspace.budgets.agent,
        Account::User(..) => &workspace.budgets.user,
        Account::Workspace(_) => &workspace.budgets.workspace,
    })
}

/// What its agent's configuration says, and no more than the run was given.
fn budgets_of_run<'a>(state: &State, run: RunId, workspace: &'a WorkspaceSetup) -> Cow<'a, [Budget]> {
    let Some(known) = state.fold.runs.get(run) else { return Cow::Borrowed(&[]) };
    let configured = workspace.agents.get(&known.run.agent).map_or(&[][..], |agent| &agent.models.budgets);
    let given = known.run.bounds.budget;
    if given == Budget::default() {
        return Cow::Borrowed(configured);
    }
    let least = |one: Budget| Budget {
        usd: one.usd.into_iter().chain(given.usd).min(),
        tokens: one.tokens.into_iter().chain(given.tokens).min(),
        per: None,
    };
    let (of_life, others): (Vec<Budget>, Vec<Budget>) =
        configured.iter().partition(|budget| budget.per.is_none());
    let of_life = of_life.into_iter().reduce(|one, other| Budget {
        usd: one.usd.into_iter().chain(other.usd).min(),
        tokens: one.tokens.into_iter().chain(other.tokens).min(),
        per: None,
    });
    Cow::Owned(std::iter::once(least(of_life.unwrap_or_default())).chain(others).collect())
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
    let left = left(state, subject, view.workspace, now);
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
    if let Some(fits) = fits.filter(|fits| demand.output.is_some() && *fits >= least.max(1)) {
        return Ok(Fit { output: Some(fits), lowered: true, reservation: reserve(fits)? });
    }
    let needed = reserve(least)?;
    let blocked = left.blocks(needed).unwrap_or(blocked);
    Err(left.objection(blocked, needed, demand.output.map(|_| least), now))
}

fn left(state: &State, subject: &Subject, workspace: &WorkspaceSetup, now: Timestamp) -> Left {
    let mut left = Left { usd: None, tokens: None };
    for account in Account::all_of(subject) {
        let is_above = matches!(account, Account::Run(run) if run != subject.run)
            || matches!(&account, Account::Agent(_, agent) if *agent != subject.agent);
        for budget in &*budgets_of(state, &account, workspace) {
            let (sum, _) = state.fold.accounts.against(&account, budget, now);
            let (usd, tokens) = sum.taken();
            let by = |what| Blocked { level: account.level(), is_above, per: budget.per, what };
            if let Some(rest) = budget.usd.map(|most| most.minus(usd))
                && left.usd.is_none_or(|(least, _)| rest < least)
            {
                left.usd = Some((rest, by(Bound::Usd)));
            }
            if let Some(rest) = budget.tokens.map(|most| most.saturating_sub(tokens))
                && left.tokens.is_none_or(|(least, _)| rest < least)
            {
                left.tokens = Some((rest, by(Bound::Tokens)));
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

    /// What is said of a call that needs this much at least, with this output.
    fn objection(
        &self,
        blocked: Blocked,
        needed: Reservation,
        output: Option<u64>,
        now: Timestamp,
    ) -> Objection {
        let Blocked { level, is_above, per, what } = blocked;
        let until = per.map(|window| window.around(now).1);
        let (of_money, of_tokens) = (what == Bound::Usd, what == Bound::Tokens);
        let shortfall = Shortfall {
            level,
            per,
            until,
            usd: self.usd.filter(|_| of_money).map(|(rest, _)| (rest, needed.usd)),
            tokens: self.tokens.filter(|_| of_tokens).map(|(rest, _)| (rest, needed.tokens)),
            max_output_tokens: output,
        };
        Objection {
            retry_after: until.map(|until| until.since(now).max(Duration::from_secs(1))),
            ..Objection::new(Code::OverBudget, sentence(&shortfall, is_above))
        }
        .short_of(shortfall)
    }
}

/// A shortfall in words.
fn sentence(short: &Shortfall, is_above: bool) -> String {
    let whose = match short.level {
        Level::Run if is_above => "the run that started this one",
        Level::Agent if is_above => "the agent whose run started this one",
        Level::Run => "this run",
        Level::Conversation => "this conversation",
        Level::Agent => "this agent",
        Level::User => "this user",
        Level::Workspace => "this workspace",
    };
    let when = short.per.map(|window| format!(" for this {window}")).unwrap_or_default();
    let (needed, left) = match (short.usd, short.tokens) {
        (Some((left, needed)), _) => (format!("${needed}"), format!("${left}")),
        (None, Some((left, needed))) => (format!("{needed} tokens"), format!("{left}")),
        (None, None) => ("more".to_owned(), "less".to_owned()),
    };
    let with = short.max_output_tokens.map(|tokens| format!(" for an answer of {tokens} tokens"));
    let until = short.until.map(|until| {
        // `2026-12-01T00:00:00.000000Z`, of which the date is said where it is not the next one.
        let text = until.to_string();
        let (date, time) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
        if short.per == Some(Window::Month) {
            format!(" until {date} {time} UTC")
        } else {
            format!(" until {time} UTC")
        }
    });
    let less = if short.max_output_tokens.is_some() {
        "ask for less: with a shorter conversation or a smaller max_tokens"
    } else {
        "ask for less"
    };
    format!(
        "The budget of {whose}{when} does not cover this call: it may come to {needed}{}, and {left} is left{}. Finish \
         with what you have, or {less}.",
        with.unwrap_or_default(),
        until.unwrap_or_default()
    )
}
