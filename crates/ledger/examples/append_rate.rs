//! How fast the log takes entries and how fast it is verified, beside what the disk's own sync costs.
//!
//!     cargo run --release -p ringfence-ledger --example append_rate -- FOLDER [SECONDS]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_json::Object;
use ringfence_ledger::{Draft, Ledger, Options, PayloadClass, RoomFor, Session, VerifyOptions, verify};
use ringfence_types::{EntryKind, NodeName, Timestamp};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What one run of appenders measured.
struct Rate {
    appended: u64,
    took: Duration,
    latencies_us: Vec<u64>,
    cpu: Duration,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: append_rate FOLDER [SECONDS]")?);
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for payloads in [false, true] {
        for appenders in [1, 16, 256] {
            let folder = folder.join(format!("{appenders}-{payloads}"));
            let fsync = sync_times(&folder, Duration::from_secs(1))?;
            let rate = runtime.block_on(measure(&folder, appenders, payloads, seconds))?;
            report(appenders, payloads, &rate, &fsync);
        }
    }
    verified(&folder.join("256-false"))?;
    verified(&folder.join("256-true"))
}

/// What an append of 4 KiB and its fdatasync take here, in microseconds.
fn sync_times(folder: &Path, long: Duration) -> Result<Vec<u64>, Failure> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("sync-probe");
    let file = File::create(&path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 16 << 20)?;
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < long && times.len() < 4096 {
        let one = Instant::now();
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4096], times.len() as u64 * 4096)?;
        rustix::fs::fdatasync(&file)?;
        times.push(micros(one.elapsed()));
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times)
}

async fn measure(folder: &Path, appenders: usize, payloads: bool, seconds: u64) -> Result<Rate, Failure> {
    let (ledger, _) = Ledger::open(folder, Options::new(NodeName::new("bench")?))?;
    let session = ledger.session().ok_or("closed")?;
    let class = Arc::new(PayloadClass::new("180d")?);
    if payloads {
        session.open_class(&class)?;
    }
    let started = Instant::now();
    let cpu = cpu_time();
    let until = started + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for appender in 0..appenders {
        let (session, class) = (session.clone(), Arc::clone(&class));
        tasks.spawn(async move { appender_loop(&session, &class, payloads, appender, until).await });
    }
    let mut latencies_us = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies_us.extend(done??);
    }
    let took = started.elapsed();
    latencies_us.sort_unstable();
    let rate = Rate {
        appended: latencies_us.len() as u64 * 2,
        took,
        latencies_us,
        cpu: cpu_time().saturating_sub(cpu),
    };
    ledger.close();
    Ok(rate)
}

/// Intent, wait, outcome, as a call does; only the intent's wait is measured.
async fn appender_loop(
    session: &Session,
    class: &PayloadClass,
    payloads: bool,
    appender: usize,
    until: Instant,
) -> Result<Vec<u64>, Failure> {
    let mut latencies = Vec::new();
    let mut number = 0_u64;
    while Instant::now() < until {
        let action = format!("act_{appender:010}{number:016}");
        let mut intent = draft(EntryKind::Intent, &action)?;
        if payloads {
            intent.payloads.push(session.seal(class, &[b'a'; 200])?);
        }
        let started = Instant::now();
        session.append(intent, RoomFor::New)?.durable().await?;
        latencies.push(micros(started.elapsed()));
        let _ = session.append(draft(EntryKind::Outcome, &action)?, RoomFor::New)?;
        number += 1;
    }
    Ok(latencies)
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
    Ok(Draft {
        kind,
        at: Timestamp::from_micros(u64::try_from(now.as_micros())?),
        body,
        payloads: Vec::new(),
    })
}

fn report(appenders: usize, payloads: bool, rate: &Rate, fsync: &[u64]) {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (per_second, cpu_us) =
        (rate.appended as f64 / rate.took.as_secs_f64(), rate.cpu.as_secs_f64() * 1e6 / rate.appended as f64);
    println!(
        "{appenders:>3} appenders{}: {per_second:>8.0} entries/s, {cpu_us:.1} µs CPU each; durable p50 {} µs, p99 {} µs; \
         fsync p50 {} µs, p99 {} µs",
        if payloads { ", payloads" } else { "          " },
        percentile(&rate.latencies_us, 50),
        percentile(&rate.latencies_us, 99),
        percentile(fsync, 50),
        percentile(fsync, 99),
    );
}

fn verified(folder: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let (ledger, recovery) = Ledger::open(folder, Options::new(NodeName::new("bench")?))?;
    println!("opened {} entries in {:?}", recovery.size, started.elapsed());
    drop(ledger);
    let cpu = cpu_time();
    let report = verify(folder, &VerifyOptions::default())?;
    let cpu = cpu_time().saturating_sub(cpu);
    println!(
        "verified {} entries and {} payloads in {:?} ({cpu:?} CPU): {:.0} entries/s",
        report.entries,
        report.payloads,
        report.took,
        report.entries_per_second()
    );
    Ok(())
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
