//! Money and tokens, as JSON: dollars as exact decimal text, nano-dollars as numbers.

use ringfence_json::Object;
use ringfence_kernel::{Account, Run, Spending, Sum};
use ringfence_store::{SpendRow, SpendSum};
use ringfence_types::{Money, Timestamp, Usage, Window};

/// An amount in both forms.
fn usd(object: Object, amount: Money) -> Object {
    object.with("usd", amount.to_string()).with("usd_nanos", amount)
}

/// Tokens by kind; every token is counted in one.
pub(super) fn tokens(usage: &Usage) -> Object {
    Object::new()
        .with("input", usage.input)
        .with("cached_input", usage.cached_input)
        .with("cache_write", usage.cache_write)
        .with("cache_write_1h", usage.cache_write_1h)
        .with("output", usage.output)
        .with("reasoning", usage.reasoning)
        .with("total", usage.total())
}

/// One row of what was spent.
pub(super) fn row(row: &SpendRow) -> Object {
    let named = row.key.iter().fold(Object::new(), |object, (by, text)| {
        object.with_some(by.as_str(), text.as_ref().map(smol_str::SmolStr::as_str))
    });
    sum(&row.sum, named)
}

/// A sum, added to the members that say of what.
pub(super) fn sum(sum: &SpendSum, of: Object) -> Object {
    let by_basis = sum.bases.iter().filter(|basis| basis.calls > 0).fold(Object::new(), |object, basis| {
        object.with(basis.basis, usd(Object::new(), basis.usd).with("calls", basis.calls))
    });
    let open =
        usd(Object::new().with("calls", sum.open), sum.reserved_usd).with("tokens", sum.reserved_tokens);
    usd(of, sum.usd)
        .with("calls", sum.calls)
        .with("tokens", tokens(&sum.usage))
        .with("by_basis", by_basis)
        .with_some("doubtful", (sum.doubtful > 0).then_some(sum.doubtful))
        .with("saved", usd(Object::new(), sum.saved))
        .with("open", open)
}

/// What somebody has spent, as the kernel has it.
pub(super) fn spent(sum: &Sum) -> Object {
    usd(Object::new(), sum.usd)
        .with("tokens", sum.tokens)
        .with("calls", sum.calls)
        .with("reserved", usd(Object::new(), sum.reserved_usd).with("tokens", sum.reserved_tokens))
}

/// A budget and where it stands.
pub(super) fn budget(spending: &Spending, now: Timestamp) -> Object {
    let Spending { account, budget, sum, run } = spending;
    let (taken_usd, taken_tokens) = sum.taken();
    let left = budget.usd.map(|most| most.minus(taken_usd));
    let amounts = |show: &dyn Fn(Money) -> Object| -> [(&'static str, Option<Object>); 4] {
        [
            ("max", budget.usd.map(show)),
            ("spent", Some(show(sum.usd))),
            ("reserved", Some(show(sum.reserved_usd))),
            ("left", left.map(show)),
        ]
    };
    let money = amounts(&|amount| usd(Object::new(), amount));
    let money =
        money.into_iter().fold(Object::new(), |object, (name, amount)| object.with_some(name, amount));
    let tokens = Object::new()
        .with_some("max", budget.tokens)
        .with("spent", sum.tokens)
        .with("reserved", sum.reserved_tokens)
        .with_some("left", budget.tokens.map(|most| most.saturating_sub(taken_tokens)));
    named(account, run.as_deref())
        .with_some("per", budget.per.map(Window::as_str))
        .with_some("resets_at", budget.per.map(|window| window.around(now).1))
        .with("percent", u64::from(spending.percent()))
        .with("used", !taken_usd.is_zero() || taken_tokens > 0)
        .with("money", money)
        .with("tokens", tokens)
}

/// Whose account.
fn named(account: &Account, run: Option<&Run>) -> Object {
    let object = Object::new().with("level", account.level().as_str());
    match account {
        Account::Workspace(workspace) => object.with("workspace", workspace),
        Account::Agent(workspace, agent) => object.with("workspace", workspace).with("agent", agent),
        Account::User(workspace, user) => object.with("workspace", workspace).with("user", user),
        Account::Conversation(workspace, user, conversation) => object
            .with("workspace", workspace)
            .with_some("user", user.as_ref())
            .with("conversation", conversation),
        Account::Run(id) => object
            .with_some("workspace", run.map(|run| &run.workspace))
            .with_some("agent", run.map(|run| &run.agent))
            .with("run", id.to_string()),
    }
}

/// Whether an account is a run's own or one that the run's calls count for too.
pub(super) fn is_above(account: &Account, run: &Run) -> bool {
    match account {
        Account::Run(id) => *id == run.id || run.above.iter().any(|above| above.run == *id),
        Account::Workspace(workspace) => *workspace == run.workspace,
        Account::Agent(workspace, agent) => {
            let is_agents = *agent == run.agent || run.above.iter().any(|above| above.agent == *agent);
            *workspace == run.workspace && is_agents
        }
        Account::User(workspace, user) => *workspace == run.workspace && Some(user) == run.user.as_ref(),
        Account::Conversation(workspace, user, conversation) => {
            *workspace == run.workspace
                && *user == run.user
                && Some(conversation) == run.conversation.as_ref()
        }
    }
}
