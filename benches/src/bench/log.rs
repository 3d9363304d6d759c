//! How fast the log takes entries and how fast it is verified, beside what the disk's own sync costs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_json::Object;
use ringfence_ledger::{Draft, Ledger, Options, PayloadClass, RoomFor, Session, VerifyOptions, verify};
use ringfence_types::{EntryKind, NodeName, Timestamp};
use tokio::task::JoinSet;

use crate::bench::Plan;
use crate::failure::Failure;
use crate::fsync::{Probe, Syncs};
use crate::histogram::{Times, ms, us};
use crate::table::{Bound, Cell, Table};

/// Appenders of the runs that the goals speak of.
const MANY: u32 = 256;

/// Bytes of each payload.
const PAYLOAD: usize = 200;

/// Syncs of the probe before and after each run.
const SYNCS: u32 = 150;

const APPEND_COLUMNS: &[&str] = &[
    "appenders",
    "payloads",
    "entries/s",
    "CPU µs/entry",
    "durable p50 ms",
    "durable p99 ms",
    "fsync p50 ms",
    "fsync p99 ms",
];

const VERIFY_COLUMNS: &[&str] =
    &["payloads", "entries", "opens in ms", "verified in s", "CPU s", "entries/s"];

/// What one run of appenders measured.
struct Run {
    appenders: u32,
    payloads: bool,
    /// Of intents, from the append to the sync.
    durable: Times,
    entries: u64,
    took: Duration,
    cpu: Duration,
    fsync: Syncs,
}

pub fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    // On a thread of its own: the caller is inside a runtime, and the appenders have theirs.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| apart(plan));
        thread.join().map_err(|_| crate::failure::failure("the log's bench panicked"))?
    })
}

fn apart(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut runs = Vec::new();
    let mut verified = Table::new("log", "Verifying the log", VERIFY_COLUMNS);
    let mut all = Syncs::default();
    for payloads in [false, true] {
        for appenders in [1, 16, MANY] {
            let folder = plan.fresh()?;
            let mut probe = Probe::new(folder.path())?;
            probe.sample(SYNCS)?;
            let log = folder.path().join("log");
            let mut run = runtime.block_on(append(&log, appenders, payloads, plan.millis(5_000, 1_000)))?;
            probe.sample(SYNCS)?;
            run.fsync = probe.take();
            all.add(&run.fsync);
            if appenders == MANY {
                verify_row(&mut verified, &log, payloads)?;
            }
            runs.push(run);
        }
    }
    verified.fsync(&all);
    Ok(vec![append_table(&runs, &all), verified])
}

async fn append(folder: &Path, appenders: u32, payloads: bool, long: Duration) -> Result<Run, Failure> {
    let (ledger, _) = Ledger::open(folder, Options::new(NodeName::new("bench")?))?;
    let session = ledger.session().ok_or("the log is closed")?;
    let class = Arc::new(PayloadClass::new("180d")?);
    if payloads {
        session.open_class(&class)?;
    }
    let (started, cpu) = (Instant::now(), cpu_time());
    let mut tasks = JoinSet::new();
    for appender in 0..appenders {
        let (session, class) = (session.clone(), payloads.then(|| Arc::clone(&class)));
        tasks.spawn(async move { appender_loop(&session, class.as_deref(), appender, started + long).await });
    }
    let mut durable = Times::default();
    while let Some(done) = tasks.join_next().await {
        durable.add(&done??);
    }
    let (took, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu));
    ledger.close();
    let entries = durable.count() * 2;
    Ok(Run { appenders, payloads, durable, entries, took, cpu, fsync: Syncs::default() })
}

/// Intent, wait, outcome, as a call does; only the intent's wait is measured.
async fn appender_loop(
    session: &Session,
    class: Option<&PayloadClass>,
    appender: u32,
    until: Instant,
) -> Result<Times, Failure> {
    let mut durable = Times::default();
    let mut number = 0_u64;
    while Instant::now() < until {
        let action = format!("act_{appender:010}{number:016}");
        let mut intent = draft(EntryKind::Intent, &action)?;
        if let Some(class) = class {
            intent.payloads.push(session.seal(class, &[b'a'; PAYLOAD])?);
        }
        let started = Instant::now();
        session.append(intent, RoomFor::New)?.durable().await?;
        durable.record(started.elapsed());
        let _ = session.append(draft(EntryKind::Outcome, &action)?, RoomFor::New)?;
        number += 1;
    }
    Ok(durable)
}

fn draft(kind: EntryKind, action: &str) -> Result<Draft, Failure> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?;
    let facts = Object::new().with("server", "search").with("tool", "query").with("action_type", "read");
    let body = Object::new()
        .with("workspace", "research")
        .with("agent", "assistant")
        .with("run", "run_01k0000000000000000000000a")
        .with("action", action)
        .with("facts", facts)
        .with("rule", "reads are fine")
        .with("decision", "ALLOW");
    let at = Timestamp::from_micros(u64::try_from(now.as_micros())?);
    Ok(Draft { kind, at, body, payloads: Vec::new() })
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn append_table(runs: &[Run], all: &Syncs) -> Table {
    let mut table = Table::new("log", "Appending to the log", APPEND_COLUMNS);
    for run in runs {
        let rate = run.entries as f64 / run.took.as_secs_f64();
        table.row(vec![
            Cell::Count(run.appenders.into()),
            with(run.payloads),
            Cell::Figure(rate, 0),
            Cell::Figure(us(run.cpu) / run.entries as f64, 1),
            Cell::Figure(ms(run.durable.p50()), 2),
            Cell::Figure(ms(run.durable.p99()), 2),
            Cell::Figure(ms(run.fsync.new.p50()), 2),
            Cell::Figure(ms(run.fsync.new.p99()), 2),
        ]);
        if run.appenders == MANY {
            let what = if run.payloads { ", with payloads" } else { "" };
            table.goal(format!("entries/s at {MANY}{what}"), rate, Bound::Least(40_000.0), "/s");
            let (measured, bound) = (ms(run.durable.p99()), 3.0 * ms(run.fsync.new.p99()));
            table.goal(format!("p99 at {MANY}{what} (3 × fsync p99)"), measured, Bound::Most(bound), "ms");
        }
    }
    table.fsync(all);
    table.note("entries as a call makes them, an intent and its outcome; the wait is the intent's");
    table
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn verify_row(table: &mut Table, folder: &Path, payloads: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let (ledger, recovery) = Ledger::open(folder, Options::new(NodeName::new("bench")?))?;
    let opened = started.elapsed();
    ledger.close();
    let (started, cpu) = (Instant::now(), cpu_time());
    let report = verify(folder, &VerifyOptions::default())?;
    let (took, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu));
    let rate = report.entries as f64 / took.as_secs_f64();
    table.row(vec![
        with(payloads),
        Cell::Count(recovery.size),
        Cell::Figure(ms(opened), 0),
        Cell::Figure(took.as_secs_f64(), 2),
        Cell::Figure(cpu.as_secs_f64(), 2),
        Cell::Figure(rate, 0),
    ]);
    let what = if payloads { "verified with payloads" } else { "verified" };
    table.goal(what, rate, Bound::Least(300_000.0), "/s");
    Ok(())
}

fn with(payloads: bool) -> Cell {
    Cell::Text(if payloads { format!("{PAYLOAD} bytes") } else { "none".to_owned() })
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
