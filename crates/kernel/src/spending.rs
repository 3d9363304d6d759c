//! What anybody has spent, for those who ask.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use ringfence_types::{AgentName, Budget, ConversationName, ModelName, Money, Usage, Window, WorkspaceName};

use crate::fold::{Account, Sum};
use crate::model::budgets_of;
use crate::record::{Correction, OutcomeRecord};
use crate::state::State;
use crate::target::Target;
use crate::{Kernel, Run, Setup};

/// What one account has spent, against one of its budgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// Whose.
    pub account: Account,
    /// What it may spend; without a bound where there is no budget.
    pub budget: Budget,
    /// Spent and set aside within the budget's window.
    pub sum: Sum,
    /// The run, of a run's account.
    pub run: Option<Arc<Run>>,
}

/// What was booked for calls of one model by one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Booked {
    /// Calls settled.
    pub calls: u64,
    /// What they came to.
    pub usd: Money,
    /// Their tokens.
    pub usage: Usage,
}

/// What was booked since the start, by workspace, agent and model: all of them are names of the configuration.
pub type BookedBy = HashMap<(WorkspaceName, AgentName, ModelName), Booked>;

/// Counts what an outcome booked.
pub(crate) fn book(booked: &mut BookedBy, outcome: &OutcomeRecord) {
    let subject = &outcome.subject;
    let (Some(charge), Target::Model { model, .. }) = (&outcome.charge, &subject.target) else { return };
    let key = (subject.workspace.clone(), subject.agent.clone(), model.clone());
    let sum = booked.entry(key).or_default();
    sum.calls += 1;
    sum.usd = sum.usd.plus(charge.usd);
    sum.usage = sum.usage.plus(&charge.usage);
}

/// Counts what a correction booked. Counts only grow, so its tokens are among those written, whatever was booked as read
/// while nobody knew.
pub(crate) fn book_more(booked: &mut BookedBy, correction: &Correction) {
    let subject = &correction.subject;
    let Target::Model { model, .. } = &subject.target else { return };
    let key = (subject.workspace.clone(), subject.agent.clone(), model.clone());
    let sum = booked.entry(key).or_default();
    let more = correction.charge.beyond();
    sum.usd = sum.usd.plus(more.usd);
    sum.usage = sum.usage.plus(&Usage { output: more.tokens, ..Usage::default() });
}

// === impl Sum ===

impl Sum {
    /// How much of a budget is spent or set aside, in percent, rounded down; 100 at most.
    pub fn percent_of(&self, budget: &Budget) -> u8 {
        taken_percent(self, budget)
    }
}

// === impl Spending ===

impl Spending {
    /// How much of the budget is spent or set aside, in percent, rounded down; 100 at most.
    pub fn percent(&self) -> u8 {
        self.sum.percent_of(&self.budget)
    }
}

// === impl Kernel ===

impl Kernel {
    /// What everybody has spent, against each of their budgets; those without one, over their whole life. The widest
    /// levels first.
    pub fn spending(&self) -> Vec<Spending> {
        let setup = self.setup();
        let now = self.0.clock.now();
        let state = self.0.state.lock();
        let mut all = Vec::new();
        for (account, balance) in state.fold.accounts.iter() {
            let budgets = budgets(&state, &setup, account);
            let over_life = [Budget::default()];
            let budgets = if budgets.is_empty() { &over_life[..] } else { &*budgets };
            all.extend(budgets.iter().map(|budget| Spending {
                account: account.clone(),
                budget: *budget,
                sum: balance.against(budget.per, now).0,
                run: run_of(&state, account),
            }));
        }
        all.sort_by(|one, other| one.account.cmp(&other.account).then(one.budget.per.cmp(&other.budget.per)));
        all
    }

    /// The budgets in force that are `wanted`, and what of each is spent or set aside. The widest levels first.
    /// Workspaces, agents and runs that have spent nothing yet are among them; users and conversations are known only
    /// by what they did. `wanted` is called under the kernel's lock, for each budget.
    pub fn budgets(
        &self,
        mut wanted: impl FnMut(&Account, Option<&Run>, &Budget, &Sum) -> bool,
    ) -> Vec<Spending> {
        let setup = self.setup();
        let now = self.0.clock.now();
        let state = self.0.state.lock();
        let mut all = Vec::new();
        let mut add = |account: &Account| {
            let run = run_of(&state, account);
            for budget in &*budgets(&state, &setup, account) {
                let (sum, _) = state.fold.accounts.against(account, budget, now);
                if wanted(account, run.as_deref(), budget, &sum) {
                    let (account, run) = (account.clone(), run.clone());
                    all.push(Spending { account, budget: *budget, sum, run });
                }
            }
        };
        state.fold.accounts.iter().for_each(|(account, _)| add(account));
        let runs = state.fold.runs.iter().map(|run| Account::Run(run.run.id));
        let configured = setup.workspaces.iter().flat_map(|(name, workspace)| {
            let agents = workspace.agents.keys().map(|agent| Account::Agent(name.clone(), agent.clone()));
            agents.chain([Account::Workspace(name.clone())])
        });
        let unspent = runs.chain(configured).filter(|account| state.fold.accounts.get(account).is_none());
        unspent.for_each(|account| add(&account));
        drop(state);
        all.sort_by(|one, other| one.account.cmp(&other.account).then(one.budget.per.cmp(&other.budget.per)));
        all
    }

    /// What one account has spent in the present window, or in its whole life.
    pub fn spent_within(&self, account: &Account, per: Option<Window>) -> Sum {
        let now = self.0.clock.now();
        let state = self.0.state.lock();
        state.fold.accounts.get(account).map_or_else(Sum::default, |balance| balance.against(per, now).0)
    }

    /// How much is left of the budget above a run that is nearest to its end, in percent; 100 without one.
    pub fn budget_left(&self, run: &Run, conversation: Option<&ConversationName>) -> u8 {
        let setup = self.setup();
        let Some(workspace) = setup.workspaces.get(&run.workspace) else { return 0 };
        let conversation = run.conversation.as_ref().or(conversation);
        let now = self.0.clock.now();
        let state = self.0.state.lock();
        let mut left = 100;
        for account in Account::above(run, conversation) {
            for budget in &*budgets_of(&state, &account, workspace) {
                let (sum, _) = state.fold.accounts.against(&account, budget, now);
                left = left.min(100_u8.saturating_sub(taken_percent(&sum, budget)));
            }
        }
        left
    }

    /// What one account has spent in its whole life.
    pub fn spent(&self, account: &Account) -> Sum {
        let state = self.0.state.lock();
        state.fold.accounts.get(account).map_or_else(Sum::default, |balance| balance.total)
    }
}

/// The run of a run's account.
fn run_of(state: &State, account: &Account) -> Option<Arc<Run>> {
    let Account::Run(run) = account else { return None };
    state.fold.runs.get(*run).map(|known| Arc::clone(&known.run))
}

/// The budgets that hold for an account at present.
pub(crate) fn budgets<'s>(state: &State, setup: &'s Setup, account: &Account) -> Cow<'s, [Budget]> {
    let workspace = match account {
        Account::Run(id) => state.fold.runs.get(*id).map(|known| &known.run.workspace),
        Account::Agent(workspace, _)
        | Account::Workspace(workspace)
        | Account::User(workspace, _)
        | Account::Conversation(workspace, ..) => Some(workspace),
    };
    let known = workspace.and_then(|workspace| setup.workspaces.get(workspace));
    known.map_or(Cow::Borrowed(&[]), |known| budgets_of(state, account, known))
}

/// How much of a budget is spent or set aside, in percent.
fn taken_percent(sum: &Sum, budget: &Budget) -> u8 {
    let (usd, tokens) = sum.taken();
    let usd = budget.usd.map(|most| share(usd.nanos(), most.nanos()));
    let tokens = budget.tokens.map(|most| share(tokens, most));
    let most = usd.into_iter().chain(tokens).max().unwrap_or(0);
    u8::try_from(most.min(100)).unwrap_or(100)
}

/// In percent, rounded down.
pub(crate) fn share(used: u64, most: u64) -> u128 {
    u128::from(used) * 100 / u128::from(most.max(1))
}
