//! What model calls came to, by whom and when; and the budgets that bound it.

use std::str::FromStr;

use ringfence_json::Object;
use ringfence_kernel::{Account, Run};
use ringfence_store::{By, SpendQuery};

use super::super::call::{Answer, Call};
use super::super::money;
use super::super::problem::Problem;
use super::super::show;
use super::audit::blocking;

pub(in crate::api) async fn spend(call: Call) -> Result<Answer, Problem> {
    let limit = call.limit()?;
    let query = SpendQuery {
        by: call.asked("by").map_or(Ok(Vec::new()), by)?,
        workspace: call.asked_as("workspace")?,
        agent: call.asked_as("agent")?,
        user: call.asked_as("user")?,
        conversation: call.asked_as("conversation")?,
        run: call.asked_as("run")?,
        model: call.asked_as("model")?,
        since: call.asked_as("since")?,
        until: call.asked_as("until")?,
        limit: u64::try_from(limit).ok(),
    };
    let (books, asked) = (call.desk.books.clone(), query.clone());
    let spend = blocking(move || books.spend(&asked)).await?;
    let durable = call.desk.books.size();
    let mut budgets = call.desk.kernel.budgets(|account, run, _, _| is_of(&query, account, run));
    let more_budgets = budgets.len() > limit;
    // The fullest first, before any is left out. A stable sort: of those equally full, the wider stay first.
    budgets.sort_by_key(|budget| std::cmp::Reverse(budget.percent()));
    budgets.truncate(limit);
    let now = call.desk.kernel.now();
    Ok(Answer::Document(
        Object::new()
            .with("entries", spend.entries)
            .with("durable", durable)
            .with("by", show::texts(By::all_of(&query.by).into_iter().map(By::as_str)))
            .with("rows", show::list(&spend.rows, |row| money::row(row)))
            .with("more", spend.more)
            .with("total", money::sum(&spend.total, Object::new()))
            .with("budgets", show::list(&budgets, |budget| money::budget(budget, now)))
            .with("more_budgets", more_budgets),
    ))
}

/// What calls are added up by: words with commas between.
fn by(text: &str) -> Result<Vec<By>, Problem> {
    let known = By::ALL.map(By::as_str);
    let read = |word: &str| {
        By::from_str(word).map_err(|()| {
            let near = ringfence_document::nearest(word, known.iter().copied());
            let meant = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            Problem::wrong(format!("`by` cannot be `{}`{meant}", crate::shown::line(word)))
                .hint(format!("known are, with commas between: {}", known.join(", ")))
        })
    };
    text.split(',').map(str::trim).map(read).collect()
}

/// Whether an account is one of those that are asked for: whoever has no such name is not.
fn is_of(query: &SpendQuery, account: &Account, run: Option<&Run>) -> bool {
    fn holds<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none() || wanted == found
    }
    let (workspace, agent, user, conversation) = match (account, run) {
        (Account::Workspace(workspace), _) => (Some(workspace), None, None, None),
        (Account::Agent(workspace, agent), _) => (Some(workspace), Some(agent), None, None),
        (Account::User(workspace, user), _) => (Some(workspace), None, Some(user), None),
        (Account::Conversation(workspace, user, conversation), _) => {
            (Some(workspace), None, user.as_ref(), Some(conversation))
        }
        (Account::Run(_), Some(run)) => {
            (Some(&run.workspace), Some(&run.agent), run.user.as_ref(), run.conversation.as_ref())
        }
        (Account::Run(_), None) => (None, None, None, None),
    };
    let id = if let Account::Run(id) = account { Some(id) } else { None };
    holds(query.workspace.as_ref(), workspace)
        && holds(query.agent.as_ref(), agent)
        && holds(query.user.as_ref(), user)
        && holds(query.conversation.as_ref(), conversation)
        && holds(query.run.as_ref(), id)
}
