//! How soon a suspension stops what is under way: a hundred calls whose server tells without end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use crate::bench::Plan;
use crate::connection::Connection;
use crate::control::Operator;
use crate::events::MARK;
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::{Times, ms};
use crate::load::next_number;
use crate::node::Node;
use crate::table::{Bound, Cell, Table};
use crate::wire::{Era, Target};
use crate::{config, upstream};

/// Runs, and the calls that each has under way.
const RUNS: usize = 10;
const STREAMS_PER_RUN: usize = 10;

/// Between two events of each call.
const PAUSE_MS: u64 = 10;

/// How long the calls go on before they are cut off.
const BEFORE: Duration = Duration::from_millis(300);

/// How long a call may go on after it was cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// Syncs of the probe between two rounds.
const SYNCS: u32 = 10;

const COLUMNS: &[&str] = &["from", "to", "p50 ms", "p99 ms", "longest ms"];

/// When a client received what it received.
struct Heard {
    /// The last piece with something of the server in it.
    told: Instant,
    /// The last byte of all.
    last: Instant,
    /// Events that came.
    events: u64,
    /// Whether the client was told why.
    reason: bool,
}

/// What all rounds measured.
#[derive(Default)]
struct Measured {
    sent_to_told: Times,
    sent_to_last: Times,
    answered_to_told: Times,
    answered_to_last: Times,
    sent_to_answered: Times,
    events: u64,
}

pub async fn measure(plan: &Plan) -> Result<Table, Failure> {
    let folder = plan.fresh()?;
    let node = Node::start(folder.path(), upstream::start()?).await?;
    let mut probe = Probe::new(folder.path())?;
    let targets = targets(&node).await?;
    let mut measured = Measured::default();
    let rounds = plan.choose(40, 8);
    for _ in 0..rounds {
        round(&node, &targets, &mut measured).await?;
        probe.sample(SYNCS)?;
    }
    node.stop()?;
    Ok(table(&measured, rounds, &probe))
}

async fn targets(node: &Node) -> Result<Vec<Target>, Failure> {
    let (address, path): (SocketAddr, _) = (node.gateway, format!("/mcp/{}", config::SERVER));
    let mut targets = Vec::new();
    for _ in 0..RUNS {
        let token = Some(node.mint().await?);
        targets.push(Target { address, path: path.clone(), token, era: Era::Modern });
    }
    Ok(targets)
}

async fn round(node: &Node, targets: &[Target], measured: &mut Measured) -> Result<(), Failure> {
    let mut operator = Operator::connect(&node.socket()).await?;
    let mut streams = JoinSet::new();
    for target in targets.iter().flat_map(|target| std::iter::repeat_n(target, STREAMS_PER_RUN)) {
        let mut connection = Connection::open(target).await?;
        let mut body = connection.stream(next_number(), PAUSE_MS).await?.into_body();
        if piece(&mut body).await?.is_none() {
            return Err(failure("a call ended before it was cut off"));
        }
        // The connection has to live as long as its answer is read.
        streams.spawn(async move { (listen(body).await, connection) });
    }
    tokio::time::sleep(BEFORE).await;
    let sent = Instant::now();
    let (suspension, cut) = operator.suspend(config::AGENT).await?;
    let answered = Instant::now();
    let heard = gather(&mut streams).await?;
    // What holds an answer that is being given out is counted beside the call.
    if cut < heard.len() as u64 || heard.iter().any(|heard| !heard.reason) {
        return Err(failure(format!(
            "{} calls, {cut} things cut off, but not all were told why",
            heard.len()
        )));
    }
    measured.take(sent, answered, &heard);
    operator.resume(&suspension).await
}

async fn gather(streams: &mut JoinSet<(Result<Heard, Failure>, Connection)>) -> Result<Vec<Heard>, Failure> {
    let mut heard = Vec::new();
    let all = async {
        while let Some(one) = streams.join_next().await {
            heard.push(one?.0?);
        }
        Ok::<_, Failure>(())
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .map_err(|_| failure("a call goes on although it was cut off"))??;
    Ok(heard)
}

/// Reads an answer to its end.
async fn listen(mut body: Incoming) -> Result<Heard, Failure> {
    let now = Instant::now();
    let mut heard = Heard { told: now, last: now, events: 0, reason: false };
    while let Some(piece) = piece(&mut body).await? {
        heard.last = Instant::now();
        let events = count(&piece, MARK);
        if events > 0 {
            heard.told = heard.last;
            heard.events += events;
        }
        heard.reason |= count(&piece, r#""suspended""#) > 0;
    }
    Ok(heard)
}

async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn count(piece: &[u8], mark: &str) -> u64 {
    piece.windows(mark.len()).filter(|window| *window == mark.as_bytes()).count() as u64
}

// === impl Measured ===

impl Measured {
    /// One round counts by its last client.
    fn take(&mut self, sent: Instant, answered: Instant, heard: &[Heard]) {
        let told = heard.iter().map(|heard| heard.told).max().unwrap_or(sent);
        let last = heard.iter().map(|heard| heard.last).max().unwrap_or(sent);
        for (times, from, to) in [
            (&mut self.sent_to_told, sent, told),
            (&mut self.sent_to_last, sent, last),
            (&mut self.answered_to_told, answered, told),
            (&mut self.answered_to_last, answered, last),
            (&mut self.sent_to_answered, sent, answered),
        ] {
            times.record(to.saturating_duration_since(from));
        }
        self.events += heard.iter().map(|heard| heard.events).sum::<u64>();
    }
}

fn table(measured: &Measured, rounds: u32, probe: &Probe) -> Table {
    let title = format!("From a suspension to the last byte of {} calls", RUNS * STREAMS_PER_RUN);
    let mut table = Table::new("suspension", title, COLUMNS);
    for (from, to, times) in [
        ("suspension sent", "last byte of the server's", &measured.sent_to_told),
        ("suspension sent", "last byte of any kind", &measured.sent_to_last),
        ("suspension sent", "suspension answered", &measured.sent_to_answered),
        ("suspension answered", "last byte of the server's", &measured.answered_to_told),
        ("suspension answered", "last byte of any kind", &measured.answered_to_last),
    ] {
        table.row(vec![
            Cell::from_text(from),
            Cell::from_text(to),
            Cell::Figure(ms(times.p50()), 2),
            Cell::Figure(ms(times.p99()), 2),
            Cell::Figure(ms(times.longest()), 2),
        ]);
    }
    table.fsync(probe.syncs());
    table.note(format!(
        "{rounds} rounds, each counted by its last client; an event every {PAUSE_MS} ms in each call, {} in all; of any \
         kind: with the answer that tells the agent why",
        measured.events
    ));
    let what = "p99 from the suspension sent to the last byte of any kind";
    table.goal(what, ms(measured.sent_to_last.p99()), Bound::Most(20.0), "ms");
    table
}
