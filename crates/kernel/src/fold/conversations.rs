//! How many conversations are added up, and which of them may be forgotten.
//!
//! Their names are the agents' to invent, so their number is bounded: in each workspace, and so that no workspace takes
//! the place of another.

use std::collections::{HashMap, HashSet};

use ringfence_types::{Budget, Money, Timestamp, WorkspaceName};

use super::accounts::{Account, Accounts, Balance};
use crate::limits::{
    CONVERSATIONS_KEPT_PERCENT, CONVERSATIONS_MANY_PERCENT, CONVERSATIONS_MAX,
    CONVERSATIONS_PER_WORKSPACE_MAX,
};

/// How many conversations there are, in all and of each workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conversations {
    of: HashMap<WorkspaceName, usize>,
    all: usize,
}

// === impl Conversations ===

impl Conversations {
    /// An account was added.
    pub(super) fn added(&mut self, account: &Account) {
        if let Account::Conversation(workspace, ..) = account {
            self.all += 1;
            match self.of.get_mut(workspace) {
                Some(count) => *count += 1,
                None => drop(self.of.insert(workspace.clone(), 1)),
            }
        }
    }

    /// These are all there are.
    pub(super) fn count<'a>(accounts: impl Iterator<Item = &'a Account>) -> Self {
        accounts.fold(Self::default(), |mut all, account| {
            all.added(account);
            all
        })
    }

    /// Whether a workspace may have one more, where there are so many workspaces: up to its bound; where the node has as
    /// many as it adds up, up to its share of them.
    pub(crate) fn has_room(&self, workspace: &WorkspaceName, workspaces: usize) -> bool {
        self.of(workspace) < bound(self.all >= CONVERSATIONS_MAX, workspaces)
    }

    fn of(&self, workspace: &WorkspaceName) -> usize {
        self.of.get(workspace).copied().unwrap_or_default()
    }

    /// The workspaces that have many, with how many each should forget.
    fn crowded(&self, workspaces: usize) -> HashMap<WorkspaceName, usize> {
        let is_full = self.all >= CONVERSATIONS_MAX / 100 * CONVERSATIONS_MANY_PERCENT;
        let bound = bound(is_full, workspaces);
        let crowded = self.of.iter().filter(|(_, count)| **count >= bound * CONVERSATIONS_MANY_PERCENT / 100);
        crowded
            .map(|(name, count)| (name.clone(), count - bound * CONVERSATIONS_KEPT_PERCENT / 100))
            .collect()
    }
}

fn bound(is_full: bool, workspaces: usize) -> usize {
    let share = CONVERSATIONS_MAX / workspaces.max(1);
    if is_full { CONVERSATIONS_PER_WORKSPACE_MAX.min(share) } else { CONVERSATIONS_PER_WORKSPACE_MAX }
}

// === impl Accounts ===

impl Accounts {
    /// Makes room in workspaces that have many conversations: forgets those that have been silent for longest, of those
    /// that count against no budget now. `budgets` are those of a workspace's conversations, `None` where nobody knows
    /// them.
    // INVARIANT: this lifts no cap. What was spent counts against a budget for life as long as the conversation is known,
    // so one that has spent anything under such a budget is never forgotten; of a window, only what was spent in the
    // present one counts.
    pub(crate) fn forget_silent<'a>(
        &mut self,
        workspaces: usize,
        budgets: impl Fn(&WorkspaceName) -> Option<&'a [Budget]>,
        now: Timestamp,
    ) {
        for (workspace, surplus) in self.conversations().crowded(workspaces) {
            let Some(budgets) = budgets(&workspace) else { continue };
            let is_of =
                |account: &Account| matches!(account, Account::Conversation(of, ..) if *of == workspace);
            let silent = self
                .iter()
                .filter(|(account, balance)| is_of(account) && counts_nothing(balance, budgets, now));
            let mut silent: Vec<(Timestamp, &Account)> =
                silent.map(|(account, balance)| (balance.used_at, account)).collect();
            silent.sort_unstable();
            let forgotten: HashSet<Account> =
                silent.into_iter().take(surplus).map(|(_, account)| account.clone()).collect();
            if !forgotten.is_empty() {
                self.remove_all(&forgotten);
            }
        }
    }
}

/// Whether a conversation has nothing under way, and nothing of it counts against a budget now.
fn counts_nothing(balance: &Balance, budgets: &[Budget], now: Timestamp) -> bool {
    let is_idle = balance.total.reserved_usd.is_zero() && balance.total.reserved_tokens == 0;
    is_idle && budgets.iter().all(|budget| balance.against(budget.per, now).0.taken() == (Money::ZERO, 0))
}

#[cfg(test)]
#[path = "conversations_tests.rs"]
mod tests;
