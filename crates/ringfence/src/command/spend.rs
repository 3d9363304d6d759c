//! `ringfence spend`

use clap::Args;
use ringfence_json::{Object, Value};

use super::audit::moment;
use crate::cli::Global;
use crate::client::with_query;
use crate::failure::Failure;
use crate::output::Table;
use crate::show::{add, field, number, objects};

/// Budgets shown at once.
const BUDGETS_SHOWN_MAX: usize = 20;

/// Say what model calls came to, by whom and when, and how full budgets are
///
/// A call counts at the moment when it was cleared, as it does for budgets. Amounts are exact.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringfence spend --by agent,day --since 7d\n  ringfence spend -w research --by user --since 2026-11-01T00:00:00Z"
)]
pub struct Spend {
    /// By what to add up, with commas between: workspace, agent, user, conversation, run, model, month, day, hour
    #[arg(long, default_value = "workspace")]
    by: String,
    /// Only in this workspace
    #[arg(short, long)]
    workspace: Option<String>,
    /// Only of this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only for this user
    #[arg(long)]
    user: Option<String>,
    /// Only in this conversation
    #[arg(long)]
    conversation: Option<String>,
    /// Only of this run
    #[arg(long)]
    run: Option<String>,
    /// Only of this model
    #[arg(long)]
    model: Option<String>,
    /// Only calls cleared not before: RFC 3339, or so long ago, such as 2h
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Only calls cleared before: RFC 3339, or so long ago
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// At most so many rows, up to 1000
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

impl Spend {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let (since, until) = (self.since.as_deref().map(moment), self.until.as_deref().map(moment));
        let limit = self.limit.to_string();
        let query = [
            ("by", Some(self.by.as_str())),
            ("workspace", self.workspace.as_deref()),
            ("agent", self.agent.as_deref()),
            ("user", self.user.as_deref()),
            ("conversation", self.conversation.as_deref()),
            ("run", self.run.as_deref()),
            ("model", self.model.as_deref()),
            ("since", since.as_deref()),
            ("until", until.as_deref()),
            ("limit", Some(limit.as_str())),
        ];
        let answer = global.client()?.get(&with_query("/api/v1/spend", &query)).await?;
        let output = global.output();
        if output.is_json() {
            return output.document(&Value::Object(answer));
        }
        output.text(&render(&answer, output.colour()))
    }
}

fn render(answer: &Object, colour: bool) -> String {
    let rows = objects(answer, "rows");
    if rows.is_empty() {
        return "nothing was spent\n".to_owned();
    }
    let by = answer.get("by").and_then(Value::as_array).unwrap_or_default();
    let by: Vec<&str> = by.iter().filter_map(Value::as_str).collect();
    let amounts = ["usd", "calls", "input", "output", "reserved", "saved"];
    let mut table = Table::of(by.iter().copied().chain(amounts).collect());
    for row in &rows {
        let keys = by.iter().map(|by| match field(row, by) {
            none if none.is_empty() => "-".to_owned(),
            name => name,
        });
        table.add(keys.chain(amounts_of(row)).collect());
    }
    if let Some(total) = answer.get("total").and_then(Value::as_object).filter(|_| !by.is_empty()) {
        let keys = by.iter().enumerate().map(|(place, _)| if place == 0 { "all" } else { "" }.to_owned());
        table.add(keys.chain(amounts_of(total)).collect());
    }
    let mut text = table.render(colour);
    if answer.get("more").and_then(Value::as_bool) == Some(true) {
        text.push_str("there are more rows; `all` has them too\n");
    }
    if answer.get("entries") != answer.get("durable") {
        let (has, all) = (number(answer, "entries"), number(answer, "durable"));
        add(&mut text, format_args!("this is up to entry {has} of {all}\n"));
    }
    text.push_str(&budgets(answer, colour));
    text
}

/// The fullest budgets of which anything is used.
fn budgets(answer: &Object, colour: bool) -> String {
    let percent = |budget: &Object| budget.get("percent").and_then(Value::as_u64).unwrap_or_default();
    let is_used = |budget: &&Object| budget.get("used").and_then(Value::as_bool) == Some(true);
    let mut used: Vec<&Object> = objects(answer, "budgets").into_iter().filter(is_used).collect();
    if used.is_empty() {
        return String::new();
    }
    used.sort_by_key(|budget| std::cmp::Reverse(percent(budget)));
    let left_out = used.len().saturating_sub(BUDGETS_SHOWN_MAX);
    used.truncate(BUDGETS_SHOWN_MAX);
    let mut text = format!("\n{}", budget_table(&used).render(colour));
    if left_out > 0 {
        add(&mut text, format_args!("and {left_out} budgets that are less used; --json has them\n"));
    }
    text
}

fn amounts_of(row: &Object) -> [String; 6] {
    let of = |name: &str, kinds: &[&str]| {
        let counts = row.get(name).and_then(Value::as_object);
        let count = |kind: &&str| counts.and_then(|counts| counts.get(kind)?.as_u64()).unwrap_or_default();
        kinds.iter().map(count).fold(0, u64::saturating_add).to_string()
    };
    let usd = |name: &str| match row.get(name).and_then(Value::as_object) {
        Some(amount) => field(amount, "usd"),
        None => String::new(),
    };
    [
        field(row, "usd"),
        number(row, "calls"),
        of("tokens", &["input", "cached_input", "cache_write", "cache_write_1h"]),
        of("tokens", &["output", "reasoning"]),
        usd("open"),
        usd("saved"),
    ]
}

/// Budgets and where they stand; what is not bounded shows a dash.
pub fn budget_table(budgets: &[&Object]) -> Table {
    let mut table = Table::new(["budget of", "per", "used", "spent", "reserved", "left", "tokens left"]);
    for budget in budgets {
        let money = budget.get("money").and_then(Value::as_object).cloned().unwrap_or_default();
        let usd = |name: &str| match money.get(name).and_then(Value::as_object) {
            Some(amount) => field(amount, "usd"),
            None => "-".to_owned(),
        };
        let tokens = budget.get("tokens").and_then(|tokens| tokens.get("left")).and_then(Value::as_u64);
        let per = match field(budget, "per") {
            none if none.is_empty() => "lifetime".to_owned(),
            per => per,
        };
        table.row([
            whose(budget),
            per,
            format!("{} %", number(budget, "percent")),
            usd("spent"),
            usd("reserved"),
            usd("left"),
            tokens.map_or_else(|| "-".to_owned(), |left| left.to_string()),
        ]);
    }
    table
}

/// Whose budget: the level, and the names that make it one.
pub fn whose(budget: &Object) -> String {
    let level = field(budget, "level");
    let names = ["workspace", "agent", "user", "conversation", "run"];
    let names: Vec<String> = match level.as_str() {
        // Its identifier says all.
        "run" => vec![field(budget, "run")],
        _ => names.iter().map(|name| field(budget, name)).filter(|name| !name.is_empty()).collect(),
    };
    format!("{level} {}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(usd: &str) -> Object {
        let tokens = Object::new().with("input", 10_u64).with("cached_input", 5_u64).with("output", 3_u64);
        let open = Object::new().with("calls", 1_u64).with("usd", "0.50");
        let saved = Object::new().with("usd", "0.000007");
        let sum = Object::new().with("usd", usd).with("calls", 2_u64).with("tokens", tokens);
        sum.with("open", open).with("saved", saved)
    }

    #[test]
    fn rows_total_and_budgets_are_tables() {
        let money = |usd: &str| Object::new().with("usd", usd);
        let budget = Object::new()
            .with("level", "user")
            .with("workspace", "lab")
            .with("user", "erin")
            .with("per", "day")
            .with("percent", 85_u64)
            .with("used", true)
            .with("money", Object::new().with("spent", money("17.00")).with("left", money("3.00")));
        let by: Vec<Value> = vec!["workspace".into(), "user".into()];
        let answer = Object::new()
            .with("by", by)
            .with("rows", vec![sum("0.000125").with("workspace", "lab")])
            .with("total", sum("0.000125"))
            .with("entries", 9_u64)
            .with("durable", 12_u64)
            .with("budgets", vec![budget]);
        let expected = "\
WORKSPACE  USER  USD       CALLS  INPUT  OUTPUT  RESERVED  SAVED
lab        -     0.000125  2      15     3       0.50      0.000007
all              0.000125  2      15     3       0.50      0.000007
this is up to entry 9 of 12

BUDGET OF      PER  USED  SPENT  RESERVED  LEFT  TOKENS LEFT
user lab/erin  day  85 %  17.00  -         3.00  -
";
        assert_eq!(render(&answer, false), expected);
    }
}
