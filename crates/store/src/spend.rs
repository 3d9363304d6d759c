//! What model calls came to, by whom and when.

use ringfence_types::{
    AgentName, ConversationName, ModelName, Money, RunId, Timestamp, Usage, UserName, WorkspaceName,
};
use rusqlite::Connection;
use smol_str::SmolStr;

use crate::call::BASES;
use crate::mark::Mark;
use crate::spend_sql;

/// By what calls are added up.
///
/// A name means something within its workspace only, so whoever is asked for stands with what it belongs to: see
/// [`By::all_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Workspaces.
    Workspace,
    /// Agents.
    Agent,
    /// Users.
    User,
    /// Conversations.
    Conversation,
    /// Runs.
    Run,
    /// Models, by their names in the configuration.
    Model,
    /// Months of the calendar (UTC).
    Month,
    /// Days of the calendar (UTC).
    Day,
    /// Hours of the calendar (UTC).
    Hour,
}

/// Which calls are added up, and by what: all that is given must hold, so the default adds up everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpendQuery {
    /// By what; one sum over all if by nothing.
    pub by: Vec<By>,
    /// Of this workspace.
    pub workspace: Option<WorkspaceName>,
    /// Of this agent, in whatever workspace.
    pub agent: Option<AgentName>,
    /// For this user.
    pub user: Option<UserName>,
    /// In this conversation.
    pub conversation: Option<ConversationName>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of this model.
    pub model: Option<ModelName>,
    /// Cleared at this moment or later.
    pub since: Option<Timestamp>,
    /// Cleared before this moment.
    pub until: Option<Timestamp>,
    /// At most so many rows.
    pub limit: Option<u64>,
}

/// What was booked on one basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasisSum {
    /// Which, in the words of the log.
    pub basis: &'static str,
    /// Calls settled on it.
    pub calls: u64,
    /// What they came to.
    pub usd: Money,
}

/// A sum of calls. Each counts at the moment when it was cleared, as it does for budgets. Sums are exact; what would be
/// more than [`Money::MAX`] stays there, as it does for budgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendSum {
    /// Calls settled.
    pub calls: u64,
    /// What they came to.
    pub usd: Money,
    /// Their tokens.
    pub usage: Usage,
    /// How that is known.
    pub bases: [BasisSum; BASES.len()],
    /// Calls of which the provider reported what cannot be true or has no price.
    pub doubtful: u64,
    /// How much more they would have cost of the models that were named, or if no answer had been kept.
    pub saved: Money,
    /// Calls cleared and not settled.
    pub open: u64,
    /// Set aside for these.
    pub reserved_usd: Money,
    /// Tokens set aside for these.
    pub reserved_tokens: u64,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendRow {
    /// Of whom and when; a text is missing where calls have none, such as a user.
    pub key: Vec<(By, Option<SmolStr>)>,
    /// What it comes to.
    pub sum: SpendSum,
}

/// The answer: one moment of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// The rows, times in their order, then who spent most first. None if by nothing was asked for.
    pub rows: Vec<SpendRow>,
    /// Whether there are more.
    pub more: bool,
    /// Over all rows, also those that are not given.
    pub total: SpendSum,
    /// How many entries of the log are in it.
    pub entries: u64,
}

// === impl By ===

impl By {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Workspace,
        Self::Agent,
        Self::User,
        Self::Conversation,
        Self::Run,
        Self::Model,
        Self::Month,
        Self::Day,
        Self::Hour,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Conversation => "conversation",
            Self::Run => "run",
            Self::Model => "model",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// Whether it is a time.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Month | Self::Day | Self::Hour)
    }

    /// What was asked for, each once, with what it belongs to before it.
    pub fn all_of(asked: &[Self]) -> Vec<Self> {
        let mut all = Vec::new();
        for by in asked.iter().flat_map(|by| by.with_above()) {
            if !all.contains(by) {
                all.push(*by);
            }
        }
        all
    }

    fn with_above(self) -> &'static [Self] {
        match self {
            Self::Workspace => &[Self::Workspace],
            Self::Agent => &[Self::Workspace, Self::Agent],
            Self::User => &[Self::Workspace, Self::User],
            Self::Conversation => &[Self::Workspace, Self::User, Self::Conversation],
            Self::Run => &[Self::Workspace, Self::Agent, Self::Run],
            Self::Model => &[Self::Workspace, Self::Model],
            Self::Month => &[Self::Month],
            Self::Day => &[Self::Day],
            Self::Hour => &[Self::Hour],
        }
    }
}

impl std::str::FromStr for By {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or(())
    }
}

// === reading ===

/// Answers from one moment of the index.
pub(crate) fn read(connection: &Connection, query: &SpendQuery) -> rusqlite::Result<Spend> {
    let moment = connection.unchecked_transaction()?;
    let entries = Mark::read(&moment)?.size;
    let by = By::all_of(&query.by);
    let total = read_rows(&moment, query, &[], 1)?.into_iter().next();
    let total = total.ok_or(rusqlite::Error::QueryReturnedNoRows)?.sum;
    let limit = query.limit.unwrap_or(u64::MAX);
    let mut rows = Vec::new();
    if !by.is_empty() {
        rows = read_rows(&moment, query, &by, limit.saturating_add(1))?;
    }
    let kept = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > kept;
    rows.truncate(kept);
    Ok(Spend { rows, more, total, entries })
}

fn read_rows(
    connection: &Connection,
    query: &SpendQuery,
    by: &[By],
    rows_max: u64,
) -> rusqlite::Result<Vec<SpendRow>> {
    let asked = spend_sql::sums(query, by, rows_max);
    let mut statement = connection.prepare_cached(&asked.sql)?;
    let found = statement.query_map(rusqlite::params_from_iter(asked.parameters), |row| {
        let mut columns = Columns { row, next: 0 };
        let key = by.iter().map(|by| Ok((*by, columns.text()?))).collect::<rusqlite::Result<_>>()?;
        Ok(SpendRow { key, sum: columns.sum()? })
    })?;
    found.collect()
}

/// The columns of a row, one after the other, in the order of `spend_sql`.
struct Columns<'a, 'r> {
    row: &'a rusqlite::Row<'r>,
    next: usize,
}

impl Columns<'_, '_> {
    fn place(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn text(&mut self) -> rusqlite::Result<Option<SmolStr>> {
        let place = self.place();
        Ok(self.row.get_ref(place)?.as_str_or_null()?.map(SmolStr::new))
    }

    fn count(&mut self) -> rusqlite::Result<u64> {
        let place = self.place();
        self.row.get(place)
    }

    /// A sum from the sums of both halves of its terms.
    fn whole(&mut self) -> rusqlite::Result<u64> {
        let (high, low) = (self.count()?, self.count()?);
        Ok(u64::try_from((u128::from(high) << 32) + u128::from(low)).unwrap_or(u64::MAX))
    }

    fn money(&mut self) -> rusqlite::Result<Money> {
        self.whole().map(Money::from_nanos)
    }

    fn sum(&mut self) -> rusqlite::Result<SpendSum> {
        let (calls, usd) = (self.count()?, self.money()?);
        let usage = Usage {
            input: self.whole()?,
            cached_input: self.whole()?,
            cache_write: self.whole()?,
            cache_write_1h: self.whole()?,
            output: self.whole()?,
            reasoning: self.whole()?,
        };
        let mut bases = BASES.map(|basis| BasisSum { basis, calls: 0, usd: Money::ZERO });
        for basis in &mut bases {
            (basis.calls, basis.usd) = (self.count()?, self.money()?);
        }
        Ok(SpendSum {
            calls,
            usd,
            usage,
            bases,
            doubtful: self.count()?,
            saved: self.money()?,
            open: self.count()?,
            reserved_usd: self.money()?,
            reserved_tokens: self.whole()?,
        })
    }
}
