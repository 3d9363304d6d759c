//! A load to look at with a profiler, such as `perf record -g -p PID`.

use std::time::Duration;

use crate::bench::Plan;
use crate::failure::Failure;
use crate::histogram::ms;
use crate::load::Fleet;
use crate::node::Node;
use crate::table::{Cell, Table};
use crate::wire::{Era, Target};
use crate::{config, upstream};

const COLUMNS: &[&str] = &["calls/s", "node CPU ms/call"];

pub async fn keep_busy(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let folder = plan.fresh()?;
    let node = Node::start(folder.path(), upstream::start()?).await?;
    let path = format!("/mcp/{}", config::SERVER);
    let token = Some(node.mint().await?);
    let mut fleet = Fleet::new(Target { address: node.gateway, path, token, era: Era::Modern });
    fleet.closed_for(plan.clients, Duration::from_secs(1)).await?;
    eprintln!("the node is process {}", node.pid());
    let before = node.cpu()?;
    let done = fleet.closed_for(plan.clients, plan.millis(60_000, 15_000)).await?;
    let cpu = node.cpu()?.since(before);
    let mut table =
        Table::new("steady", format!("{} at once, without a probe of the disk", plan.clients), COLUMNS);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = ms(cpu.total()) / done.calls() as f64;
    table.row(vec![Cell::Figure(done.rate(), 0), Cell::Figure(each, 4)]);
    Ok(vec![table])
}
