//! A tool call through the gateway beside the same call without: same client, same server, in turns.

use crate::bench::Plan;
use crate::failure::Failure;
use crate::fsync::{Probe, Syncs};
use crate::histogram::ms;
use crate::load::{Done, Fleet};
use crate::node::Node;
use crate::process::Cpu;
use crate::table::{Bound, Cell, Table};
use crate::wire::{Era, Target};
use crate::{config, upstream};

/// Connections of the open loops.
const OPEN_CLIENTS: usize = 64;

/// Syncs of the probe before and after each load through the gateway.
const SYNCS: u32 = 30;

/// How calls come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loop {
    /// So many clients, each with its next call after its last answer.
    Closed(usize),
    /// So many calls a second, come what may.
    Open(u32),
}

/// One row: the same load direct and through.
struct Pair {
    era: Era,
    shape: Loop,
    direct: Done,
    through: Done,
    cpu: Cpu,
    /// The disk's sync, right before and after each load through the gateway.
    fsync: Syncs,
}

/// The clients of one era.
struct Clients {
    era: Era,
    direct: Fleet,
    through: Fleet,
}

const COLUMNS: &[&str] = &[
    "protocol",
    "load",
    "direct calls/s",
    "direct p50 ms",
    "direct p99 ms",
    "through calls/s",
    "through p50 ms",
    "through p99 ms",
    "added p50 ms",
    "node CPU ms/call",
    "of it system",
    "fsync p50 ms",
];

pub async fn measure(plan: &Plan) -> Result<Table, Failure> {
    let folder = plan.fresh()?;
    let upstream = upstream::start()?;
    let node = Node::start(folder.path(), upstream).await?;
    let mut probe = Probe::new(folder.path())?;
    let mut modern = clients(Era::Modern, &node, upstream).await?;
    let mut legacy = clients(Era::Legacy, &node, upstream).await?;
    let shapes = [Loop::Closed(1), Loop::Closed(16), Loop::Closed(32), Loop::Open(500), Loop::Open(2_000)];
    let mut pairs: Vec<Pair> = shapes.map(|shape| Pair::new(Era::Modern, shape)).into_iter().collect();
    pairs.push(Pair::new(Era::Legacy, Loop::Closed(16)));
    for round in 0..=plan.choose(6, 2) {
        for pair in &mut pairs {
            let clients = if pair.era == Era::Modern { &mut modern } else { &mut legacy };
            let fresh = pair.round(plan, clients, &node, &mut probe, round % 2 == 0).await?;
            // The first round finds caches, files and connections cold.
            if round > 0 {
                pair.add(&fresh);
            }
        }
    }
    node.stop()?;
    Ok(table(&pairs))
}

async fn clients(era: Era, node: &Node, upstream: std::net::SocketAddr) -> Result<Clients, Failure> {
    let direct = Target { address: upstream, path: "/mcp".to_owned(), token: None, era };
    let path = format!("/mcp/{}", config::SERVER);
    let through = Target { address: node.gateway, path, token: Some(node.mint().await?), era };
    Ok(Clients { era, direct: Fleet::new(direct), through: Fleet::new(through) })
}

// === impl Pair ===

impl Pair {
    fn new(era: Era, shape: Loop) -> Self {
        Self {
            era,
            shape,
            direct: Done::default(),
            through: Done::default(),
            cpu: Cpu::default(),
            fsync: Syncs::default(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.direct.add(&other.direct);
        self.through.add(&other.through);
        self.cpu = self.cpu.plus(other.cpu);
        self.fsync.add(&other.fsync);
    }

    /// One round, with the way first that was second in the round before.
    async fn round(
        &self,
        plan: &Plan,
        clients: &mut Clients,
        node: &Node,
        probe: &mut Probe,
        direct_first: bool,
    ) -> Result<Self, Failure> {
        let mut fresh = Self::new(clients.era, self.shape);
        if direct_first {
            fresh.direct = self.load(plan, &mut clients.direct).await?;
        }
        probe.sample(SYNCS)?;
        let before = node.cpu()?;
        fresh.through = self.load(plan, &mut clients.through).await?;
        fresh.cpu = node.cpu()?.since(before);
        probe.sample(SYNCS)?;
        fresh.fsync = probe.take();
        if !direct_first {
            fresh.direct = self.load(plan, &mut clients.direct).await?;
        }
        Ok(fresh)
    }

    async fn load(&self, plan: &Plan, fleet: &mut Fleet) -> Result<Done, Failure> {
        let long = plan.millis(2_000, 500);
        match self.shape {
            Loop::Closed(clients) => fleet.closed_for(clients, long).await,
            Loop::Open(rate) => fleet.open(OPEN_CLIENTS, rate, long).await,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn cpu_ms(&self) -> f64 {
        ms(self.cpu.total()) / self.through.calls() as f64
    }

    fn added_p50_ms(&self) -> f64 {
        ms(self.through.times.p50()) - ms(self.direct.times.p50())
    }

    fn row(&self) -> Vec<Cell> {
        let shape = match self.shape {
            Loop::Closed(clients) => format!("{clients} at once"),
            Loop::Open(rate) => format!("{rate}/s"),
        };
        let times = |done: &Done| {
            [
                Cell::Figure(done.rate(), 0),
                Cell::Figure(ms(done.times.p50()), 3),
                Cell::Figure(ms(done.times.p99()), 3),
            ]
        };
        let mut cells = vec![Cell::from_text(self.era.version()), Cell::Text(shape)];
        cells.extend(times(&self.direct));
        cells.extend(times(&self.through));
        cells.push(Cell::Figure(self.added_p50_ms(), 3));
        cells.push(Cell::Figure(self.cpu_ms(), 4));
        let system = self.cpu.system.as_secs_f64() / self.cpu.total().as_secs_f64().max(f64::MIN_POSITIVE);
        cells.push(Cell::Text(format!("{:.0} %", system * 100.0)));
        cells.push(Cell::Figure(ms(self.fsync.new.p50()), 3));
        cells
    }
}

fn table(pairs: &[Pair]) -> Table {
    let mut table = Table::new("calls", "A tool call through the gateway", COLUMNS);
    for pair in pairs {
        table.row(pair.row());
    }
    let mut fsync = Syncs::default();
    for pair in pairs {
        fsync.add(&pair.fsync);
    }
    table.fsync(&fsync);
    table.note(
        "ten rules of which four meet the call, with bounds on three arguments, a rate and general bounds; 200-byte \
         arguments, held against the tool's schema; payloads kept; every call durable in the log before it is sent. \
         In open loops the time counts from when a call was to start",
    );
    let of = |era, shape| pairs.iter().find(|pair| pair.era == era && pair.shape == shape);
    for clients in [16, 32] {
        if let Some(pair) = of(Era::Modern, Loop::Closed(clients)) {
            let what = format!("added CPU per call, {clients} at once");
            table.goal(what, pair.cpu_ms(), Bound::Most(0.10), "ms");
        }
    }
    if let Some(pair) = of(Era::Modern, Loop::Closed(1)) {
        let added = pair.added_p50_ms();
        for (what, fsync) in [
            ("added p50, one at a time (fsync p50 of its row + 0.25 ms)", &pair.fsync.new),
            ("the same beside syncs of a block written before", &pair.fsync.again),
        ] {
            table.goal(what, added, Bound::Most(ms(fsync.p50()) + 0.25), "ms");
        }
    }
    table
}
