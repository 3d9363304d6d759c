//! What a sandbox costs, beside other ways to make one; and the whole way of a run through a node.

use std::time::{Duration, Instant};

use ringfence_sandbox::{Command, Limits, Network, Root, Spawner, SpawnerProgram, start_spawner};
use tokio::io::AsyncReadExt;

use crate::bench::Plan;
use crate::boxes::{Ground, WAYS, Way, Working};
use crate::failure::Failure;
use crate::histogram::{Times, ms};
use crate::machine::available_bytes;
use crate::runs::{self, Wholes};
use crate::table::{Bound, Cell, Table};

/// Starts of one way in a row, so that none meets the tear-down of others alone.
const IN_A_ROW: u32 = 10;

/// What is started to be measured, and what is started to weigh.
const SHORT: [&str; 2] = ["/bin/echo", "x"];
const LONG: [&str; 3] = ["/bin/sh", "-c", "echo x; exec sleep 1000"];

const COLUMNS: &[&str] = &[
    "way",
    "first word p50 ms",
    "p99 ms",
    "end p50 ms",
    "tear-down p50 ms",
    "starts/s",
    "idle kB each",
    "remarks",
];

/// What came of one way.
#[derive(Default)]
struct Measured {
    created: Times,
    word: Times,
    end: Times,
    torn_down: Times,
    whole: Duration,
    idle_bytes: u64,
}

pub async fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let folder = plan.fresh()?;
    let ground_folder = tempfile::tempdir()?;
    let mut ground = Ground::new(ground_folder.path())?;
    // Its process is made before anything that has threads.
    let spawner = start_spawner::<&str>(&SpawnerProgram::this(), &[])?.into_async()?;
    let mut ways: Vec<(&Way, Result<Working<'_>, String>, Measured)> =
        WAYS.iter().map(|way| (way, way.find(&mut ground), Measured::default())).collect();
    let mut ours = Measured::default();
    for _ in 0..plan.choose(20, 3) {
        ours.sandboxes(&spawner).await?;
        for (_, working, measured) in &mut ways {
            if let Ok(working) = working {
                measured.others(working, &mut ground)?;
            }
        }
    }
    let idle = plan.choose(20, 5);
    ours.weigh(&spawner, idle).await?;
    for (_, working, measured) in &mut ways {
        if let Ok(working) = working {
            measured.weigh_others(working, &mut ground, idle)?;
        }
    }
    let wholes = runs::measure_starts(folder.path(), plan.choose(200, 30)).await?;
    Ok(vec![compared(&ours, &ways, &spawner), parts(&ours, &wholes)])
}

// === impl Measured ===

impl Measured {
    async fn sandboxes(&mut self, spawner: &Spawner) -> Result<(), Failure> {
        let whole = Instant::now();
        for _ in 0..IN_A_ROW {
            let began = Instant::now();
            let created = spawner.create(&boxed(&SHORT)).await?;
            self.created.record(began.elapsed());
            let mut child = created.exec().await?;
            child.stdout.read_u8().await?;
            self.said(began);
            child.process.exited().await;
            self.ended(began);
        }
        self.whole += whole.elapsed();
        Ok(())
    }

    fn others(&mut self, working: &Working<'_>, ground: &mut Ground) -> Result<(), Failure> {
        let whole = Instant::now();
        for _ in 0..IN_A_ROW {
            let boxed = working.start(ground, &SHORT)?;
            let word = boxed.word;
            let end = boxed.end()?;
            self.word.record(word);
            self.end.record(end);
            self.torn_down.record(end.saturating_sub(word));
        }
        self.whole += whole.elapsed();
        Ok(())
    }

    fn said(&mut self, began: Instant) {
        self.word.record(began.elapsed());
    }

    fn ended(&mut self, began: Instant) {
        self.end.record(began.elapsed());
        // Both are of the same start, the word right before.
        self.torn_down.record(began.elapsed().saturating_sub(self.word.last()));
    }

    async fn weigh(&mut self, spawner: &Spawner, count: u32) -> Result<(), Failure> {
        let before = available_bytes();
        let mut all = Vec::new();
        for _ in 0..count {
            let mut child = spawner.spawn(&boxed(&LONG)).await?;
            child.stdout.read_u8().await?;
            all.push(child);
        }
        self.idle_bytes = before.saturating_sub(available_bytes()) / u64::from(count);
        for mut child in all {
            child.process.kill();
            child.process.exited().await;
        }
        Ok(())
    }

    fn weigh_others(
        &mut self,
        working: &Working<'_>,
        ground: &mut Ground,
        count: u32,
    ) -> Result<(), Failure> {
        let before = available_bytes();
        let all = (0..count).map(|_| working.start(ground, &LONG)).collect::<Result<Vec<_>, _>>()?;
        self.idle_bytes = before.saturating_sub(available_bytes()) / u64::from(count);
        all.into_iter().try_for_each(crate::boxes::Boxed::stop)
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn rate(&self) -> f64 {
        self.end.count() as f64 / self.whole.as_secs_f64()
    }

    fn cells(&self, name: &str, remarks: &str) -> Vec<Cell> {
        vec![
            Cell::from_text(name),
            Cell::Figure(ms(self.word.p50()), 2),
            Cell::Figure(ms(self.word.p99()), 2),
            Cell::Figure(ms(self.end.p50()), 2),
            Cell::Figure(ms(self.torn_down.p50()), 2),
            Cell::Figure(self.rate(), 0),
            Cell::Count(self.idle_bytes / 1_024),
            Cell::from_text(remarks),
        ]
    }
}

/// A sandbox as runs have it, with every layer.
fn boxed(program: &[&str]) -> Command {
    let limits = Limits { memory_bytes: Some(1 << 30), cpu_percent: Some(200), ..Limits::default() };
    let command = Command::new(program[0]).arguments(program[1..].iter().copied());
    command.root(Root::system()).network(Network::Gateway).limits(limits)
}

fn compared(
    ours: &Measured,
    ways: &[(&Way, Result<Working<'_>, String>, Measured)],
    spawner: &Spawner,
) -> Table {
    let title = "A program that says a word, in a box, started in turns";
    let mut table = Table::new("sandboxes", title, COLUMNS);
    let missing = spawner.run_layers().missing().count();
    table.row(ours.cells("ringfence", if missing == 0 { "every layer" } else { "see the notes" }));
    for (way, working, measured) in ways {
        match working {
            Ok(working) => {
                let called = working.called();
                let remarks = if called.is_empty() {
                    way.makes.to_owned()
                } else {
                    format!("{} ({called})", way.makes)
                };
                table.row(measured.cells(way.name, &remarks));
            }
            Err(why) => {
                let nothing = std::iter::repeat_with(|| Cell::None).take(COLUMNS.len() - 2);
                let name = std::iter::once(Cell::from_text(way.name));
                table.row(name.chain(nothing).chain([Cell::from_text(why.clone())]).collect());
            }
        }
    }
    for layer in spawner.run_layers().missing() {
        table.note(format!("ringfence without {layer}"));
    }
    table.note(format!(
        "{} starts of each, {IN_A_ROW} in a row; idle: `sleep` with its box, by the machine's memory",
        ours.end.count()
    ));
    if let Some((_, Ok(_), bare)) = ways.iter().find(|(way, ..)| way.name == "unshare") {
        let word = ms(ours.word.p50()) / ms(bare.word.p50());
        table.goal("first word p50 over bare namespaces", word, Bound::Most(1.5), "×");
        table.goal("starts/s over bare namespaces", ours.rate() / bare.rate(), Bound::Least(0.7), "×");
    }
    table
}

fn parts(ours: &Measured, wholes: &Wholes) -> Table {
    let title = "A run of `sh -c 'echo x > pipe'` through a node, by its parts";
    let mut table = Table::new("sandboxes", title, &["from", "to", "p50 ms", "p99 ms"]);
    let mut row = |from: &str, to: &str, times: &Times| {
        let (p50, p99) = (Cell::Figure(ms(times.p50()), 2), Cell::Figure(ms(times.p99()), 2));
        table.row(vec![Cell::from_text(from), Cell::from_text(to), p50, p99]);
    };
    row("POST /api/v1/runs", "its answer: queued, durable", &wholes.answered);
    row("queued, in the log", "starting, in the log (another sync)", &wholes.starting);
    row("starting, in the log", "first word of the program", &wholes.word);
    row("  of it, alone: order", "box in place, held", &ours.created);
    row("first word", "ended, in the log: torn down", &wholes.torn_down);
    row("POST /api/v1/runs", "first word of the program", &wholes.whole);
    table.fsync(wholes.probe.syncs());
    table
}
