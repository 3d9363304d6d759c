//! Accounts as a document and back.

use ringfence_json::Object;
use ringfence_types::{Level, Money, Window};

use super::accounts::{Account, Accounts, Balance, Bucket};
use super::sum::Sum;
use crate::record::{Damaged, Members};

// === impl Account ===

impl Account {
    /// The members that name it.
    pub(crate) fn body(&self) -> Object {
        let body = Object::new().with("level", self.level().as_str());
        match self {
            Self::Workspace(workspace) => body.with("workspace", workspace),
            Self::Agent(workspace, agent) => body.with("workspace", workspace).with("agent", agent),
            Self::User(workspace, user) => body.with("workspace", workspace).with("user", user),
            Self::Conversation(workspace, user, conversation) => body
                .with("workspace", workspace)
                .with_some("user", user.as_ref())
                .with("conversation", conversation),
            Self::Run(run) => body.with("run", run.to_string()),
        }
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(match members.parse("level")? {
            Level::Workspace => Self::Workspace(members.parse("workspace")?),
            Level::Agent => Self::Agent(members.parse("workspace")?, members.parse("agent")?),
            Level::User => Self::User(members.parse("workspace")?, members.parse("user")?),
            Level::Conversation => Self::Conversation(
                members.parse("workspace")?,
                members.optional("user")?,
                members.parse("conversation")?,
            ),
            Level::Run => Self::Run(members.parse("run")?),
        })
    }
}

// === impl Accounts ===

impl Accounts {
    /// In the order of the accounts.
    pub(super) fn to_document(&self) -> Vec<Object> {
        let mut accounts: Vec<(&Account, &Balance)> = self.iter().collect();
        accounts.sort_by_key(|(account, _)| *account);
        let documents = accounts.into_iter().map(|(account, balance)| {
            let buckets: Vec<Object> = balance.buckets.iter().map(bucket_document).collect();
            account
                .body()
                .with("total", sum_document(&balance.total))
                .with("told", u64::from(balance.told))
                .with("buckets", buckets)
                .with("used_at", balance.used_at)
        });
        documents.collect()
    }

    pub(super) fn from_document(members: Members<'_>) -> Result<Self, Damaged> {
        let mut accounts = Self::default();
        for (account, balance) in
            members.objects("accounts", |each| Ok((Account::read(each)?, read_balance(each)?)))?
        {
            accounts.insert(account, balance);
        }
        Ok(accounts)
    }
}

fn sum_document(sum: &Sum) -> Object {
    Object::new()
        .with("usd", sum.usd)
        .with("tokens", sum.tokens)
        .with("calls", sum.calls)
        .with("reserved_usd", sum.reserved_usd)
        .with("reserved_tokens", sum.reserved_tokens)
}

fn bucket_document(bucket: &Bucket) -> Object {
    sum_document(&bucket.sum)
        .with("start", bucket.start)
        .with("end", bucket.end)
        .with("told", u64::from(bucket.told))
}

fn read_balance(members: Members<'_>) -> Result<Balance, Damaged> {
    let buckets = members.objects("buckets", |each| {
        let sum = read_sum(each)?;
        Ok(Bucket { start: each.parse("start")?, end: each.parse("end")?, sum, told: read_told(each)? })
    })?;
    Ok(Balance {
        total: read_sum(members.object("total")?)?,
        told: read_told(members)?,
        buckets: <[Bucket; Window::ALL.len()]>::try_from(buckets).map_err(|_| Damaged("buckets".into()))?,
        used_at: members.parse("used_at")?,
    })
}

fn read_told(members: Members<'_>) -> Result<u8, Damaged> {
    u8::try_from(members.number("told")?).map_err(|_| Damaged("told".into()))
}

fn read_sum(members: Members<'_>) -> Result<Sum, Damaged> {
    Ok(Sum {
        usd: Money::from_nanos(members.number("usd")?),
        tokens: members.number("tokens")?,
        calls: members.number("calls")?,
        reserved_usd: Money::from_nanos(members.number("reserved_usd")?),
        reserved_tokens: members.number("reserved_tokens")?,
    })
}
