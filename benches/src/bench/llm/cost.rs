//! What a model call costs on each way to the same provider, in turns.

use crate::bench::Plan;
use crate::failure::{Failure, failure};
use crate::fsync::{Probe, Syncs};
use crate::histogram::ms;
use crate::llm::{Clients, Done, Kind, Mock, Setup, Shape, Way};
use crate::process::Cpu;
use crate::table::{Bound, Cell, Table};

/// Syncs of the probe before each load.
const SYNCS: u32 = 10;

/// The loads: plain and streamed, one at a time and 32 at once; then with every piece in a write of the provider's own, and
/// with a provider that thinks for 20 ms.
const SHAPES: [Shape; 8] = [
    Shape { clients: 1, stream: false, directives: "" },
    Shape { clients: 32, stream: false, directives: "" },
    Shape { clients: 1, stream: true, directives: "" },
    Shape { clients: 32, stream: true, directives: "" },
    Shape { clients: 1, stream: true, directives: FLUSH },
    Shape { clients: 32, stream: true, directives: FLUSH },
    Shape { clients: 1, stream: true, directives: SLOW },
    Shape { clients: 32, stream: true, directives: SLOW },
];

const FLUSH: &str = "flush";
const SLOW: &str = "flush,first_ms=20";

const COLUMNS: &[&str] = &[
    "way",
    "load",
    "calls/s",
    "p50 ms",
    "p99 ms",
    "first token p50 ms",
    "first token p99 ms",
    "CPU ms/call",
    "of it system",
    "resident MB",
    "CPU beside Ringfence",
    "fsync p50 ms",
];

/// A way, and what was measured of each load.
struct Lane {
    way: Way,
    rows: Vec<Row>,
}

/// One row.
#[derive(Default)]
struct Row {
    done: Done,
    cpu: Cpu,
    resident: u64,
    fsync: Syncs,
}

/// Measures the ways that the plan names.
pub async fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let folder = plan.fresh()?;
    let mock = Mock::start()?;
    let mut probe = Probe::new(folder.path())?;
    let mut lanes = Vec::new();
    for kind in &plan.only {
        let way = kind.start(&mock, &folder.path().join(kind.name()), Setup::default()).await?;
        let rows = SHAPES.iter().map(|_| Row::default()).collect();
        lanes.push(Lane { way, rows });
    }
    let all = lanes.len();
    for round in 0..=plan.choose(4, 1) {
        for (index, shape) in SHAPES.iter().enumerate() {
            // Another way is first in every round.
            for turn in 0..all {
                let lane = &mut lanes[(turn + round) % all];
                let fresh = lane.load(plan, *shape, &mut probe).await?;
                // The first round finds caches, files and connections cold.
                if round > 0 {
                    lane.rows[index].add(&fresh);
                }
            }
        }
    }
    Ok(vec![table(&lanes)])
}

// === impl Lane ===

impl Lane {
    async fn load(&mut self, plan: &Plan, shape: Shape, probe: &mut Probe) -> Result<Row, Failure> {
        probe.sample(SYNCS)?;
        self.way.renew().await?;
        let name = self.way.kind.name();
        let said = |error| failure(format!("{name}: {error}"));
        let clients = Clients::connect(&self.way, shape).await.map_err(said)?;
        let before = self.way.cpu()?;
        let done = clients.load(shape, plan.millis(2_000, 700)).await.map_err(said)?;
        let cpu = self.way.cpu()?.since(before);
        Ok(Row { done, cpu, resident: self.way.resident(), fsync: probe.take() })
    }
}

// === impl Row ===

impl Row {
    fn add(&mut self, other: &Self) {
        self.done.add(&other.done);
        self.cpu = self.cpu.plus(other.cpu);
        self.resident = self.resident.max(other.resident);
        self.fsync.add(&other.fsync);
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn cpu_ms(&self) -> f64 {
        ms(self.cpu.total()) / self.done.calls().max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn megabytes(&self) -> f64 {
        self.resident as f64 / 1e6
    }

    fn cells(&self, kind: Kind, shape: Shape, ours: Option<f64>) -> Vec<Cell> {
        let figure = |duration| Cell::Figure(ms(duration), 3);
        let first = |duration| if shape.stream { Cell::Figure(ms(duration), 3) } else { Cell::None };
        let system = self.cpu.system.as_secs_f64() / self.cpu.total().as_secs_f64().max(f64::MIN_POSITIVE);
        let ratio = ours.filter(|_| matches!(kind, Kind::Litellm | Kind::Portkey));
        vec![
            Cell::from_text(kind.name()),
            Cell::Text(format!("{} at once, {}", shape.clients, how(shape))),
            Cell::Figure(self.done.rate(), 0),
            figure(self.done.whole.p50()),
            figure(self.done.whole.p99()),
            first(self.done.first.p50()),
            first(self.done.first.p99()),
            Cell::Figure(self.cpu_ms(), 4),
            Cell::Text(format!("{:.0} %", system * 100.0)),
            Cell::Figure(self.megabytes(), 1),
            ratio.map_or(Cell::None, |ours| Cell::Text(format!("{:.1} ×", self.cpu_ms() / ours))),
            Cell::Figure(ms(self.fsync.new.p50()), 3),
        ]
    }
}

fn table(lanes: &[Lane]) -> Table {
    let mut table = Table::new("llm", "A model call on each way to the same provider", COLUMNS);
    let of = |kind: Kind| lanes.iter().find(|lane| lane.way.kind == kind);
    let mut fsync = Syncs::default();
    for (index, shape) in SHAPES.iter().enumerate() {
        let ours = of(Kind::Ringfence).map(|lane| lane.rows[index].cpu_ms());
        for lane in lanes {
            table.row(lane.rows[index].cells(lane.way.kind, *shape, ours));
            fsync.add(&lane.rows[index].fsync);
        }
    }
    table.fsync(&fsync);
    table.note(
        "OpenAI chat completions with a prompt of 250 bytes and 20 tokens of answer, streamed in 20 pieces; \
         CPU and memory of the gateway's processes (direct: of the provider's). LiteLLM with one worker and a price for the \
         model, without a database; Portkey as it comes; Ringfence with budgets at five levels, ten rules, payloads kept \
         and every call durable in the log before it is sent",
    );
    if let Some(ours) = of(Kind::Ringfence) {
        goals(&mut table, ours, of(Kind::Direct));
    }
    table
}

/// A load in words.
fn how(shape: Shape) -> &'static str {
    match (shape.stream, shape.directives) {
        (false, _) => "plain",
        (true, FLUSH) => "streamed, each piece a write",
        (true, SLOW) => "the same, first token at 20 ms",
        (true, _) => "streamed",
    }
}

fn goals(table: &mut Table, ours: &Lane, direct: Option<&Lane>) {
    for (index, most) in [(0, 0.08), (1, 0.08), (2, 0.25), (3, 0.25), (4, 0.25), (5, 0.25)] {
        let shape = SHAPES[index];
        let what = format!("added CPU per call, {} at once, {}", shape.clients, how(shape));
        table.goal(what, ours.rows[index].cpu_ms(), Bound::Most(most), "ms");
    }
    let most = ours.rows.iter().map(Row::megabytes).fold(0.0, f64::max);
    table.goal("resident", most, Bound::Most(64.0), "MB");
    if let Some(direct) = direct {
        for (index, what) in [(2, "first token, 1 at once"), (6, "first token at 20 ms, 1 at once")] {
            let row = &ours.rows[index];
            let added = ms(row.done.first.p50()) - ms(direct.rows[index].done.first.p50());
            let bound = ms(row.fsync.new.p50()) + 1.0;
            table.goal(
                format!("added to {what} (fsync p50 of its row + 1 ms)"),
                added,
                Bound::Most(bound),
                "ms",
            );
        }
    }
}
