//! What an index costs: `cargo run --release -p ringfence-store --example cost [ENTRIES]`.
//!
//! Writes a log of the size of entries a node has, indexes it, asks it a few questions, and prints time, processor time
//! and sizes. It measures and judges nothing.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use ringfence_json::{Object, Value};
use ringfence_ledger::{AppendError, Draft, Ledger, Options, RoomFor, Session};
use ringfence_store::{Fetcher, Index, Query};
use ringfence_types::{ActionId, Digest, EntryKind, NodeName, RunId, Timestamp};

const START_MICROS: u64 = 1_795_251_600_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let entries: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("ringfence-index-cost-{}", std::process::id()));
    let measured = measure(&folder, entries);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &std::path::Path, entries: u64) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let (ledger, _) = Ledger::open(&folder.join("ledger"), Options::new(NodeName::new("cost")?))?;
    let session = ledger.session().ok_or("the log is closed")?;
    for number in 0..entries {
        append(&session, number)?;
    }
    while ledger.durable() < entries {
        std::thread::sleep(Duration::from_millis(10));
    }
    ledger.derive();
    let path = folder.join("index.sqlite");
    let (wall, processor) = (Instant::now(), processor_time());
    let index = Index::open(&path)?;
    let progress = index.catch_up(&ledger)?;
    let (wall, processor) = (wall.elapsed(), processor_time().saturating_sub(processor));
    let each =
        |total: Duration| total.as_secs_f64() * 1e6 / f64::from(u32::try_from(entries).unwrap_or(u32::MAX));
    println!("indexed        {} entries in {wall:.2?}", progress.indexed);
    println!("per entry      {:.2} µs of time, {:.2} µs of processor time", each(wall), each(processor));
    println!("index          {} KiB", fs::metadata(&path)?.len() >> 10);
    println!("memory, peak   {}", memory().unwrap_or_else(|| "unknown".to_owned()));
    ask(&index, &ledger, entries)
}

fn ask(index: &Index, ledger: &Ledger, entries: u64) -> Result<(), Box<dyn Error>> {
    let questions = [
        ("all entries", Query::default()),
        ("one run", Query { run: Some(run(7)), ..Query::default() }),
        ("a rare tool", Query { tool: Some("search/rare".to_owned()), ..Query::default() }),
        ("the last ten", Query { after: Some(entries.saturating_sub(11)), ..Query::default() }),
    ];
    for (what, query) in questions {
        let started = Instant::now();
        let mut found = 0_u64;
        for row in index.query(&query)? {
            row?;
            found += 1;
        }
        println!("{what:14} {found} rows in {:.2?}", started.elapsed());
    }
    let started = Instant::now();
    index.counts(None, None)?;
    println!("counts         {:.2?}", started.elapsed());
    let started = Instant::now();
    Fetcher::new(ledger).fetch(entries * 9 / 10)?;
    println!("one entry      fetched in {:.2?}", started.elapsed());
    Ok(())
}

fn append(session: &Session, number: u64) -> Result<(), Box<dyn Error>> {
    let is_intent = number.is_multiple_of(2);
    loop {
        let (kind, body) = if is_intent {
            (EntryKind::Intent, intent(number))
        } else {
            (EntryKind::Outcome, outcome(number))
        };
        let at = Timestamp::from_micros(START_MICROS + number * 100);
        match session.append(Draft { kind, at, body, payloads: Vec::new() }, RoomFor::New) {
            Ok(_) => return Ok(()),
            Err(AppendError::Overloaded | AppendError::Full) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
}

fn run(number: u64) -> RunId {
    RunId::new(Timestamp::from_micros(START_MICROS), bits(number))
}

fn bits(number: u64) -> [u8; 10] {
    let mut bits = [0; 10];
    bits[..8].copy_from_slice(&Digest::of(&number.to_be_bytes()).as_bytes()[..8]);
    bits
}

fn subject(number: u64) -> Object {
    let action = number / 2;
    let at = Timestamp::from_micros(START_MICROS + action * 200);
    Object::new()
        .with("workspace", "research")
        .with("agent", "assistant")
        .with("run", run(action / 50).to_string())
        .with("user", "ada@example.org")
        .with("server", "search")
        .with("tool", if action.is_multiple_of(1000) { "rare" } else { "query" })
        .with("action", ActionId::new(at, bits(action)).to_string())
}

fn intent(number: u64) -> Object {
    let rules: Vec<Value> = vec!["reads".into(), "everything".into()];
    let digest = Digest::of(&number.to_be_bytes()).to_string();
    subject(number)
        .with("decision", "ALLOW")
        .with("rule", "reads")
        .with("rules", rules)
        .with("arguments", digest.as_str())
        .with("definition", digest.as_str())
        .with("config", digest.as_str())
        .with("deadline", Timestamp::from_micros(START_MICROS + number * 100 + 60_000_000))
        .with(
            "facts",
            Object::new().with("environment", "production").with("risk", "low").with("limit", 10_u64),
        )
}

fn outcome(number: u64) -> Object {
    subject(number)
        .with("status", "completed")
        .with("is_error", false)
        .with("result", Digest::of(&number.to_be_bytes()).to_string())
        .with("result_bytes", 812_u64)
        .with("duration_us", 1_234_u64)
}

/// Of this process, all threads: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second (proc(5)).
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
