//! Budgets that fill up.

use ringfence_json::Object;
use ringfence_types::{Money, Window};

use super::read::{Damaged, Members};
use crate::fold::Account;

/// So much of a budget is used up: people were told.
#[derive(Debug, Clone)]
pub(crate) struct BudgetRecord {
    pub account: Account,
    pub per: Option<Window>,
    /// 50, 80, 95 or 100.
    pub percent: u8,
    /// Spent and set aside.
    pub usd: Money,
    pub tokens: u64,
    /// What the budget allows.
    pub usd_max: Option<Money>,
    pub tokens_max: Option<u64>,
}

impl BudgetRecord {
    pub(crate) fn body(&self) -> Object {
        self.account
            .body()
            .with_some("per", self.per.map(Window::as_str))
            .with("percent", u64::from(self.percent))
            .with("usd_nanos", self.usd)
            .with("tokens", self.tokens)
            .with_some("usd_nanos_max", self.usd_max)
            .with_some("tokens_max", self.tokens_max)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let optional = |name: &str| members.0.contains(name).then(|| members.number(name)).transpose();
        Ok(Self {
            account: Account::read(members)?,
            per: members.optional("per")?,
            percent: u8::try_from(members.number("percent")?).map_err(|_| Damaged("percent".into()))?,
            usd: Money::from_nanos(members.number("usd_nanos")?),
            tokens: members.number("tokens")?,
            usd_max: optional("usd_nanos_max")?.map(Money::from_nanos),
            tokens_max: optional("tokens_max")?,
        })
    }
}
