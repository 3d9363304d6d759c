//! What the node has in memory as its log grows, and how fast it starts on a log of a million entries.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::bench::Plan;
use crate::config;
use crate::control::Operator;
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::ms;
use crate::load::Fleet;
use crate::node::Node;
use crate::process::Memory;
use crate::table::{Bound, Cell, Table};
use crate::upstream;
use crate::wire::{Era, Target};

/// Clients at once.
const CLIENTS: usize = 32;

/// Calls between two looks at the memory, of so many looks; a call makes two entries of the log.
const STEP: u64 = 50_000;
const LOOKS: u64 = 10;
const STEP_QUICK: u64 = 5_000;

/// Syncs of the probe at each look.
const SYNCS: u32 = 40;

/// What counts as no growth, in megabytes: the allocator's own ups and downs.
const GROWTH_MB: f64 = 2.0;

const MEMORY_COLUMNS: &[&str] = &[
    "calls",
    "entries",
    "calls/s",
    "resident MB",
    "most MB",
    "proportional MB",
    "anonymous MB",
    "data MB",
    "disk B/entry",
];

const START_COLUMNS: &[&str] = &["after", "entries", "ready after ms", "resident MB"];

/// One look at the memory.
struct Look {
    calls: u64,
    memory: Memory,
}

pub async fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let folder = plan.fresh()?;
    let mut probe = Probe::new(folder.path())?;
    let upstream = upstream::start()?;
    let node = Node::start(folder.path(), upstream).await?;
    let memory = grow(plan, &node, &mut probe).await?;
    let starts = starts(plan, folder.path(), node, &mut probe).await?;
    Ok(vec![memory, starts])
}

async fn grow(plan: &Plan, node: &Node, probe: &mut Probe) -> Result<Table, Failure> {
    let mut table = Table::new("memory", "What the node has in memory", MEMORY_COLUMNS);
    let mut looks = vec![Look { calls: 0, memory: node.memory()? }];
    table.row(row(&looks[0], entries(node).await?, None, node.data_bytes()));
    let mut fleet = fleet(node).await?;
    for _ in 0..LOOKS {
        let step = plan.choose(STEP, STEP_QUICK);
        let done = fleet.closed(CLIENTS, move |done| done >= step).await?;
        probe.sample(SYNCS)?;
        let calls = looks.last().map_or(0, |look| look.calls) + done.calls();
        looks.push(Look { calls, memory: node.memory()? });
        let entries = entries(node).await?;
        if let Some(look) = looks.last() {
            table.row(row(look, entries, Some(done.rate()), node.data_bytes()));
        }
    }
    table.fsync(probe.syncs());
    goals(&mut table, &looks);
    if plan.quick {
        table.note("quick: a tenth of the calls that the goals speak of");
    }
    Ok(table)
}

/// Memory after a fifth of the calls (100,000 in full), and what the rest adds.
fn goals(table: &mut Table, looks: &[Look]) {
    let fifth = looks.get(looks.len() / 5).or(looks.first());
    let (Some(fifth), Some(last)) = (fifth, looks.last()) else { return };
    let what = format!("resident after {} calls", fifth.calls);
    table.goal(what, megabytes(fifth.memory.most), Bound::Most(64.0), "MB");
    let what = format!("resident after {} calls", last.calls);
    table.goal(what, megabytes(last.memory.most), Bound::Most(64.0), "MB");
    // From 100,000 entries, which is a look earlier.
    let early = looks.get(1).unwrap_or(fifth);
    let grown = megabytes(last.memory.resident) - megabytes(early.memory.resident);
    let what = format!("growth from {} to {} calls", early.calls, last.calls);
    table.goal(what, grown, Bound::Most(GROWTH_MB), "MB");
}

fn row(look: &Look, entries: u64, rate: Option<f64>, data: u64) -> Vec<Cell> {
    let size = |bytes| Cell::Figure(megabytes(bytes), 1);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = data as f64 / entries.max(1) as f64;
    vec![
        Cell::Count(look.calls),
        Cell::Count(entries),
        rate.map_or(Cell::None, |rate| Cell::Figure(rate, 0)),
        size(look.memory.resident),
        size(look.memory.most),
        look.memory.proportional.map_or(Cell::None, size),
        size(look.memory.anonymous),
        size(data),
        if look.calls == 0 { Cell::None } else { Cell::Figure(each, 0) },
    ]
}

async fn starts(plan: &Plan, folder: &Path, node: Node, probe: &mut Probe) -> Result<Table, Failure> {
    let mut table = Table::new("memory", "How fast the node starts on a long log", START_COLUMNS);
    let (mut node, mut slowest) = (node, [Duration::ZERO; 2]);
    for _ in 0..plan.choose(5, 2) {
        node.stop()?;
        node = started(&mut table, "a clean stop", folder, &mut slowest[0]).await?;
        end_under_load(node).await?;
        node = started(&mut table, "kill -9 under load", folder, &mut slowest[1]).await?;
        probe.sample(SYNCS)?;
    }
    drop(node);
    table.fsync(probe.syncs());
    table.note("from the start of the process until /readyz says so; asked every millisecond");
    for (after, slowest) in ["a clean stop", "kill -9 under load"].into_iter().zip(slowest) {
        table.goal(format!("slowest start after {after}"), ms(slowest), Bound::Most(1_000.0), "ms");
    }
    Ok(table)
}

async fn started(
    table: &mut Table,
    after: &str,
    folder: &Path,
    slowest: &mut Duration,
) -> Result<Node, Failure> {
    let node = Node::start_again(folder).await?;
    let entries = entries(&node).await?;
    *slowest = node.ready_after.max(*slowest);
    table.row(vec![
        Cell::from_text(after),
        Cell::Count(entries),
        Cell::Figure(ms(node.ready_after), 0),
        Cell::Figure(megabytes(node.memory()?.resident), 1),
    ]);
    Ok(node)
}

/// Kills the node while calls are under way.
async fn end_under_load(node: Node) -> Result<(), Failure> {
    let mut fleet = fleet(&node).await?;
    let load = tokio::spawn(async move { fleet.closed(CLIENTS, |_| false).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    node.kill()?;
    match load.await? {
        Err(_) => Ok(()),
        Ok(_) => Err(failure("a load that does not end ended")),
    }
}

async fn entries(node: &Node) -> Result<u64, Failure> {
    Operator::connect(&node.socket()).await?.log_size().await
}

async fn fleet(node: &Node) -> Result<Fleet, Failure> {
    let address: SocketAddr = node.gateway;
    let path = format!("/mcp/{}", config::SERVER);
    Ok(Fleet::new(Target { address, path, token: Some(node.mint().await?), era: Era::Modern }))
}

/// Millions of bytes.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
