//! Thousands of slow streams at once: what they take in memory, that none is dropped, and how soon a suspension ends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bench::Plan;
use crate::config;
use crate::control::Operator;
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::ms;
use crate::llm::{Ask, Client, Kind, Mock, Setup, Way};
use crate::load::next_number;
use crate::table::{Bound, Cell, Table};

/// Streams at once; the limit on open files of a process is often 20,000, and a gateway has two for each.
const STREAMS: usize = 8_000;
const STREAMS_QUICK: usize = 500;

/// Streams of one run: a gateway bounds the connections of each.
const STREAMS_PER_RUN: usize = 400;

/// Streams that are begun at once.
const BEGINNING: usize = 64;

/// A piece a second, for an hour.
const ASK: Ask<'static> =
    Ask { directives: "tokens=3600,chunks=3600,delay_ms=1000", stream: true, max_tokens: 4_000 };

/// How long the streams are let run when all have begun.
const HOLD: Duration = Duration::from_secs(20);
const HOLD_QUICK: Duration = Duration::from_secs(3);

/// How long a stream may take to begin, and to end when it was cut off.
const PATIENCE: Duration = Duration::from_mins(2);

/// Syncs of the probe.
const SYNCS: u32 = 100;

const COLUMNS: &[&str] = &[
    "way",
    "streams",
    "begun after s",
    "dropped",
    "pieces",
    "resident before MB",
    "resident MB",
    "kB a stream",
    "CPU, of one processor",
    "suspension to last byte ms",
];

/// What the streams tell while they run.
#[derive(Default)]
struct Told {
    begun: AtomicUsize,
    pieces: AtomicU64,
    ended: AtomicUsize,
}

/// One row.
struct Row {
    kind: Kind,
    began: Duration,
    dropped: usize,
    pieces: u64,
    before: u64,
    resident: u64,
    busy: f64,
    cut: Option<Duration>,
}

/// Measures the ways of the plan that can do it: direct and through this gateway.
pub async fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    raise_limit()?;
    let folder = plan.fresh()?;
    let mut probe = Probe::new(folder.path())?;
    probe.sample(SYNCS)?;
    let streams = plan.choose(STREAMS, STREAMS_QUICK);
    let mut table = Table::new("streams", format!("{streams} slow streams at once"), COLUMNS);
    for kind in plan.only.iter().filter(|kind| matches!(kind, Kind::Direct | Kind::Ringfence)) {
        let mock = Mock::start()?;
        let mut way = kind.start(&mock, &folder.path().join(kind.name()), Setup::default()).await?;
        let row = row(plan, &mut way, streams).await?;
        table.row(row.cells(streams));
        row.goals(&mut table);
    }
    probe.sample(SYNCS)?;
    table.fsync(probe.syncs());
    table.note("a piece a second in each; CPU while all run; direct: of the provider");
    Ok(vec![table])
}

async fn row(plan: &Plan, way: &mut Way, streams: usize) -> Result<Row, Failure> {
    let (told, before, started) = (Arc::new(Told::default()), way.resident(), Instant::now());
    let mut tasks = begin(way, streams, &told).await?;
    wait_until(|| told.begun.load(Ordering::Relaxed) == streams, &mut tasks).await?;
    let began = started.elapsed();
    let (cpu, pieces) = (way.cpu()?, told.pieces.load(Ordering::Relaxed));
    let held = Instant::now();
    tokio::time::sleep(plan.choose(HOLD, HOLD_QUICK)).await;
    let busy = way.cpu()?.since(cpu).total().as_secs_f64() / held.elapsed().as_secs_f64();
    let pieces = told.pieces.load(Ordering::Relaxed) - pieces;
    let (resident, dropped) = (way.resident(), told.ended.load(Ordering::Relaxed));
    let cut = match way.node() {
        Some(node) => Some(suspend(&node.socket(), &told, streams, &mut tasks).await?),
        None => None,
    };
    tasks.shutdown().await;
    Ok(Row { kind: way.kind, began, dropped, pieces, before, resident, busy, cut })
}

/// Begins all streams, some at a time.
async fn begin(
    way: &mut Way,
    streams: usize,
    told: &Arc<Told>,
) -> Result<JoinSet<Result<(), Failure>>, Failure> {
    let (mut tasks, places) = (JoinSet::new(), Arc::new(Semaphore::new(BEGINNING)));
    for at in 0..streams {
        if at % STREAMS_PER_RUN == 0 {
            way.renew().await?;
        }
        let place = Arc::clone(&places).acquire_owned().await?;
        let (mut client, told) = (Client::open(way).await?, Arc::clone(told));
        tasks.spawn(async move {
            let answer = client.send(next_number(), ASK).await?;
            let status = answer.status();
            let mut body = answer.into_body();
            if !status.is_success() {
                let said = body.collect().await?.to_bytes();
                return Err(failure(format!(
                    "a stream was answered {status}: {}",
                    String::from_utf8_lossy(&said)
                )));
            }
            let mut place = Some(place);
            // A stream that is cut may end with an error; when it ends is what counts.
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else { continue };
                if place.take().is_some() {
                    told.begun.fetch_add(1, Ordering::Relaxed);
                }
                let pieces = data.windows(5).filter(|window| window == b"data:").count();
                told.pieces.fetch_add(pieces as u64, Ordering::Relaxed);
            }
            told.ended.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    Ok(tasks)
}

/// Cuts the agent off. Returns how long it took until the last stream had ended.
async fn suspend(
    socket: &std::path::Path,
    told: &Told,
    streams: usize,
    tasks: &mut JoinSet<Result<(), Failure>>,
) -> Result<Duration, Failure> {
    let mut operator = Operator::connect(socket).await?;
    let sent = Instant::now();
    operator.suspend(config::AGENT).await?;
    wait_until(|| told.ended.load(Ordering::Relaxed) == streams, tasks).await?;
    Ok(sent.elapsed())
}

async fn wait_until(
    done: impl Fn() -> bool,
    tasks: &mut JoinSet<Result<(), Failure>>,
) -> Result<(), Failure> {
    let started = Instant::now();
    while !done() {
        while let Some(ended) = tasks.try_join_next() {
            ended??;
        }
        if started.elapsed() > PATIENCE {
            return Err(failure("streams neither begin nor end"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// As many open files as this process may have; what it starts inherits it.
fn raise_limit() -> Result<(), Failure> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

// === impl Row ===

impl Row {
    fn cells(&self, streams: usize) -> Vec<Cell> {
        let grown = self.resident.saturating_sub(self.before);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (before, resident, each) =
            (self.before as f64 / 1e6, self.resident as f64 / 1e6, grown as f64 / 1e3 / streams as f64);
        vec![
            Cell::from_text(self.kind.name()),
            Cell::Count(streams as u64),
            Cell::Figure(self.began.as_secs_f64(), 1),
            Cell::Count(self.dropped as u64),
            Cell::Count(self.pieces),
            Cell::Figure(before, 1),
            Cell::Figure(resident, 1),
            Cell::Figure(each, 1),
            Cell::Text(format!("{:.0} %", self.busy * 100.0)),
            self.cut.map_or(Cell::None, |cut| Cell::Figure(ms(cut), 0)),
        ]
    }

    fn goals(&self, table: &mut Table) {
        if self.kind != Kind::Ringfence {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        table.goal("streams dropped", self.dropped as f64, Bound::Most(0.0), "");
        if let Some(cut) = self.cut {
            table.goal("from the suspension to the last byte", ms(cut), Bound::Most(1_000.0), "ms");
        }
    }
}
