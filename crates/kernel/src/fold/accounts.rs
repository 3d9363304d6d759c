//! What was spent and what is set aside, for everybody whose spending is added up.
//!
//! Each account keeps a sum for its whole life and one for each current window of the calendar. What was set aside
//! counts like what was spent until the call is settled; both belong to the window in which the call was cleared.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ringfence_types::{
    AgentName, Budget, ConversationName, Level, RunId, Timestamp, UserName, Window, WorkspaceName,
};

use super::conversations::Conversations;
use super::sum::Sum;
use crate::model::{Charge, Reservation};
use crate::record::{Correction, Subject};
use crate::{Ancestor, Run};

/// Conversations that nobody has gone on with for so long are forgotten, and with them what they have spent.
const CONVERSATION_KEPT: Duration = Duration::from_hours(90 * 24);

/// Whose spending is added up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A workspace.
    Workspace(WorkspaceName),
    /// An agent.
    Agent(WorkspaceName, AgentName),
    /// A user of a workspace.
    User(WorkspaceName, UserName),
    /// A conversation of a user of a workspace, or of nobody in particular.
    Conversation(WorkspaceName, Option<UserName>, ConversationName),
    /// A run.
    Run(RunId),
}

/// A sum over one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub start: Timestamp,
    pub end: Timestamp,
    pub sum: Sum,
    /// The highest share of a budget, in percent, that people were told of.
    pub told: u8,
}

/// What one account has spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Balance {
    pub total: Sum,
    pub told: u8,
    /// As [`Window::ALL`].
    pub buckets: [Bucket; 3],
    pub used_at: Timestamp,
}

/// Every account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    balances: HashMap<Account, Balance>,
    conversations: Conversations,
}

// === impl Account ===

impl Account {
    /// The accounts that an action of this subject counts for, the narrowest first: also those of whoever stands above the run.
    pub(crate) fn all_of(subject: &Subject) -> Vec<Self> {
        let Subject { workspace, agent, run, above, user, conversation, .. } = subject;
        Self::all(*run, workspace, agent, above, user.as_ref(), conversation.as_ref())
    }

    /// The same for whatever a run does in a conversation.
    pub(crate) fn above(run: &Run, conversation: Option<&ConversationName>) -> Vec<Self> {
        Self::all(run.id, &run.workspace, &run.agent, &run.above, run.user.as_ref(), conversation)
    }

    fn all(
        run: RunId,
        workspace: &WorkspaceName,
        agent: &AgentName,
        above: &[Ancestor],
        user: Option<&UserName>,
        conversation: Option<&ConversationName>,
    ) -> Vec<Self> {
        let mut accounts = Vec::with_capacity(5);
        accounts.push(Self::Run(run));
        accounts.extend(above.iter().map(|ancestor| Self::Run(ancestor.run)));
        if let Some(conversation) = conversation {
            accounts.push(Self::Conversation(workspace.clone(), user.cloned(), conversation.clone()));
        }
        accounts.push(Self::Agent(workspace.clone(), agent.clone()));
        for Ancestor { agent, .. } in above {
            let account = Self::Agent(workspace.clone(), agent.clone());
            // Each once, also where an agent starts runs of its own.
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        accounts.extend(user.map(|user| Self::User(workspace.clone(), user.clone())));
        accounts.push(Self::Workspace(workspace.clone()));
        accounts
    }

    /// Its level.
    pub fn level(&self) -> Level {
        match self {
            Self::Workspace(_) => Level::Workspace,
            Self::Agent(..) => Level::Agent,
            Self::User(..) => Level::User,
            Self::Conversation(..) => Level::Conversation,
            Self::Run(_) => Level::Run,
        }
    }
}

// === impl Bucket ===

impl Bucket {
    fn around(window: Window, at: Timestamp) -> Self {
        let (start, end) = window.around(at);
        Self { start, end, sum: Sum::default(), told: 0 }
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

// === impl Balance ===

impl Balance {
    fn new(at: Timestamp) -> Self {
        Self {
            total: Sum::default(),
            told: 0,
            buckets: Window::ALL.map(|window| Bucket::around(window, at)),
            used_at: at,
        }
    }

    /// Begins the windows that `at` is in.
    fn roll(&mut self, at: Timestamp) {
        self.used_at = at;
        for (bucket, window) in self.buckets.iter_mut().zip(Window::ALL) {
            if at >= bucket.end {
                *bucket = Bucket::around(window, at);
            }
        }
    }

    /// What counts against a budget at present, and up to which share people were told.
    pub(crate) fn against(&self, per: Option<Window>, now: Timestamp) -> (Sum, u8) {
        let Some(window) = per else { return (self.total, self.told) };
        let found = self.buckets.iter().zip(Window::ALL).find(|(_, known)| *known == window);
        let current = found.map(|(bucket, _)| bucket).filter(|bucket| now < bucket.end);
        current.map_or((Sum::default(), 0), |bucket| (bucket.sum, bucket.told))
    }
}

// === impl Accounts ===

impl Accounts {
    pub(crate) fn get(&self, account: &Account) -> Option<&Balance> {
        self.balances.get(account)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Account, &Balance)> {
        self.balances.iter()
    }

    pub(super) fn insert(&mut self, account: Account, balance: Balance) {
        self.conversations.added(&account);
        self.balances.insert(account, balance);
    }

    /// Forgets some.
    pub(super) fn remove_all(&mut self, accounts: &HashSet<Account>) {
        self.balances.retain(|account, _| !accounts.contains(account));
        self.conversations = Conversations::count(self.balances.keys());
    }

    /// How many conversations there are.
    pub(crate) fn conversations(&self) -> &Conversations {
        &self.conversations
    }

    /// What counts against a budget of that account at present.
    pub(crate) fn against(&self, account: &Account, budget: &Budget, now: Timestamp) -> (Sum, u8) {
        self.get(account).map_or((Sum::default(), 0), |balance| balance.against(budget.per, now))
    }

    /// Sets aside for a call that was cleared.
    pub(super) fn reserve(&mut self, at: Timestamp, subject: &Subject, reservation: Reservation) {
        for account in Account::all_of(subject) {
            let is_conversation = account.level() == Level::Conversation;
            let balance = match self.balances.entry(account) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    self.conversations.added(entry.key());
                    entry.insert(Balance::new(at))
                }
            };
            if is_conversation && at >= balance.used_at.after(CONVERSATION_KEPT) {
                // Forgotten, whether or not a pruning has come by since.
                *balance = Balance::new(at);
            }
            balance.roll(at);
            balance.total.reserve(reservation);
            for bucket in &mut balance.buckets {
                bucket.sum.reserve(reservation);
            }
        }
    }

    /// Books what a call came to which was cleared at `cleared_at`.
    pub(super) fn settle(
        &mut self,
        cleared_at: Timestamp,
        subject: &Subject,
        reservation: Reservation,
        charge: &Charge,
    ) {
        for account in Account::all_of(subject) {
            let Some(balance) = self.balances.get_mut(&account) else { continue };
            balance.total.settle(reservation, charge);
            for bucket in balance.buckets.iter_mut().filter(|bucket| bucket.holds(cleared_at)) {
                bucket.sum.settle(reservation, charge);
            }
        }
    }

    /// Books what a call came to beyond what was set aside and booked for it.
    // INVARIANT: an action is corrected at most once, because its permit is settled once.
    pub(super) fn correct(&mut self, correction: &Correction) {
        let more = correction.charge.beyond();
        for account in Account::all_of(&correction.subject) {
            let Some(balance) = self.balances.get_mut(&account) else { continue };
            balance.total.add(more);
            for bucket in balance.buckets.iter_mut().filter(|bucket| bucket.holds(correction.cleared_at)) {
                bucket.sum.add(more);
            }
        }
    }

    /// People were told that so much of a budget is used up.
    pub(super) fn told(&mut self, account: &Account, per: Option<Window>, at: Timestamp, percent: u8) {
        let Some(balance) = self.balances.get_mut(account) else { return };
        balance.roll(at);
        match per {
            None => balance.told = percent,
            Some(window) => {
                let buckets = balance.buckets.iter_mut().zip(Window::ALL);
                buckets.filter(|(_, known)| *known == window).for_each(|(bucket, _)| bucket.told = percent);
            }
        }
    }

    /// Forgets runs that are forgotten, and conversations that have ended long ago.
    pub(super) fn prune(&mut self, now: Timestamp, lives: impl Fn(RunId) -> bool) {
        self.balances.retain(|account, balance| match account {
            Account::Run(run) => lives(*run),
            Account::Conversation(..) => now < balance.used_at.after(CONVERSATION_KEPT),
            _ => true,
        });
        self.conversations = Conversations::count(self.balances.keys());
    }
}
