//! A budget for 20 calls, and 500 at once: what the provider sees.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::task::JoinSet;

use crate::bench::Plan;
use crate::failure::Failure;
use crate::fsync::Probe;
use crate::llm::{Ask, Client, Kind, Mock, Setup, Way};
use crate::load::next_number;
use crate::table::{Bound, Cell, Table};

/// Calls at once.
const CALLS: usize = 500;

/// The money of all calls together, in US dollars: 20 calls of 1,000 tokens of output at 2 dollars a million and 100 of
/// input at 1 dollar.
const BUDGET: &str = "0.042";
const BUDGET_NANO: u64 = 42_000_000;

/// What the provider wants for a call and for a token of its answer, in billionths of a dollar: it says 100 tokens of input.
const CALL_NANO: u64 = 100_000;
const TOKEN_NANO: u64 = 2_000;

/// The provider thinks for a second and writes for another.
const DIRECTIVES: &str = "tokens=1000,chunks=20,input=100,first_ms=1000,delay_ms=50";

/// Once more when the first burst is over, to see whether anything is let through then.
const AFTER: usize = 20;

/// Between the two: spending is added up late where it is not reserved.
const PAUSE: Duration = Duration::from_secs(3);

/// Syncs of the probe before and after.
const SYNCS: u32 = 50;

const COLUMNS: &[&str] = &[
    "way",
    "load",
    "at once",
    "answered 200",
    "refused",
    "failed",
    "provider saw",
    "worth USD",
    "of the budget",
    "through afterwards",
    "took s",
];

/// What came of calls.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    answered: usize,
    refused: usize,
    failed: usize,
}

/// Measures the ways of the plan that know budgets.
pub async fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let folder = plan.fresh()?;
    let mut probe = Probe::new(folder.path())?;
    probe.sample(SYNCS)?;
    let title = format!("A budget of {BUDGET} USD, which is 20 calls, and {CALLS} at once");
    let mut table = Table::new("burst", title, COLUMNS);
    for kind in plan.only.iter().filter(|kind| matches!(kind, Kind::Litellm | Kind::Ringfence)) {
        for stream in [false, true] {
            let mock = Mock::start()?;
            let name = format!("{}-{stream}", kind.name());
            let setup = Setup { budget: Some(BUDGET) };
            let way = kind.start(&mock, &folder.path().join(name), setup).await?;
            burst(&mut table, &mock, &way, stream).await?;
        }
    }
    probe.sample(SYNCS)?;
    table.fsync(probe.syncs());
    table.note(
        "the provider answers in two seconds; what it saw is its own count. LiteLLM: the budget of a deployment; its keys \
         with budgets need a database. Ringfence: the budget of the workspace, with others at four more levels",
    );
    Ok(vec![table])
}

async fn burst(table: &mut Table, mock: &Mock, way: &Way, stream: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let came = calls(way, stream, CALLS).await?;
    let took = started.elapsed();
    let (saw, worth) = seen(mock).await?;
    tokio::time::sleep(PAUSE).await;
    calls(way, stream, AFTER).await?;
    let after = seen(mock).await?.0 - saw;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (worth, share) = (worth as f64 / 1e9, worth as f64 / BUDGET_NANO as f64);
    table.row(vec![
        Cell::from_text(way.kind.name()),
        Cell::from_text(if stream { "streamed" } else { "plain" }),
        Cell::Count(CALLS as u64),
        Cell::Count(came.answered as u64),
        Cell::Count(came.refused as u64),
        Cell::Count(came.failed as u64),
        Cell::Count(saw),
        Cell::Figure(worth, 4),
        Cell::Text(format!("{:.0} %", share * 100.0)),
        Cell::Count(after),
        Cell::Figure(took.as_secs_f64(), 1),
    ]);
    if way.kind == Kind::Ringfence {
        let what = if stream { "of the budget, streamed" } else { "of the budget, plain" };
        table.goal(what, share * 100.0, Bound::Most(100.0), "%");
    }
    Ok(())
}

/// All at once, each on a connection of its own that was opened before.
async fn calls(way: &Way, stream: bool, count: usize) -> Result<Came, Failure> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Client::open(way).await?);
    }
    let ask = Ask { directives: DIRECTIVES, stream, max_tokens: 1_000 };
    let mut tasks = JoinSet::new();
    for mut client in clients {
        tasks.spawn(async move {
            let answer = client.send(next_number(), ask).await?;
            let status = answer.status();
            answer.into_body().collect().await?;
            Ok::<_, Failure>(status)
        });
    }
    let mut came = Came::default();
    while let Some(one) = tasks.join_next().await {
        match one? {
            Ok(status) if status.is_success() => came.answered += 1,
            Ok(_) => came.refused += 1,
            Err(_) => came.failed += 1,
        }
    }
    Ok(came)
}

/// Requests that reached the provider, and what it wants for them.
async fn seen(mock: &Mock) -> Result<(u64, u64), Failure> {
    let stats = mock.stats().await?;
    let count = |name: &str| stats["all"][name].as_u64().unwrap_or(0);
    let requests = count("requests");
    Ok((requests, requests * CALL_NANO + count("output") * TOKEN_NANO))
}
