//! What users write about money and loops.

use ringfence_types::{Budget, Money};

/// Budgets of each agent, user and conversation of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetsConfig {
    /// Of each agent, all its runs together.
    pub agent: Vec<Budget>,
    /// Of each user.
    pub user: Vec<Budget>,
    /// Of each conversation.
    pub conversation: Vec<Budget>,
}

/// What each run of an agent may use up; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunBudgetConfig {
    /// Money.
    pub usd: Option<Money>,
    /// Tokens, of every kind.
    pub tokens: Option<u64>,
}

/// What ends a run that goes round in circles; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopsConfig {
    /// Model calls in a row whose context grows without a new result of a tool.
    pub stale: Option<u32>,
    /// Model calls in a row that show the model the same failing result of a tool.
    pub failing: Option<u32>,
    /// Errors of providers in a row.
    pub errors: Option<u32>,
}

/// Of a run that says nothing else: ten dollars.
const RUN_NANOS_DEFAULT: u64 = 10_000_000_000;

// === impl RunBudgetConfig ===

impl Default for RunBudgetConfig {
    /// What holds where nothing is written: ten dollars, any number of tokens.
    fn default() -> Self {
        Self { usd: Some(Money::from_nanos(RUN_NANOS_DEFAULT)), tokens: None }
    }
}

// === impl LoopsConfig ===

impl Default for LoopsConfig {
    /// What holds where nothing is written.
    fn default() -> Self {
        Self { stale: Some(8), failing: Some(5), errors: Some(5) }
    }
}
