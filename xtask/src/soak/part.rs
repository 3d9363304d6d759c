//! The parts and what each runs.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;

use crate::error::Error;
use crate::fuzz;
use crate::place::Place;
use crate::program::{cargo, run, watch};

/// How often the node is killed.
const KILLS: u64 = 200;

/// How many sequences the kernel and its model live through together.
const SEQUENCES: u64 = 10_000;

/// How many sequences of calls and settlements are added up anew.
const MONEY: u64 = 10_000;

/// The sequences wait more than they work: so many processes share them.
const MODELS: u64 = 4;

/// Between the starts of two of those: each takes its seeds from the clock, a microsecond apart, and no two may take the same.
const APART: Duration = Duration::from_secs(1);

/// How many runs come and go, and how often their node is killed.
const RUNS: u64 = 1_000;
const RUNS_KILLS: u64 = 40;

/// How long each target is fuzzed.
const FUZZ: Duration = Duration::from_mins(4);

/// One of the long tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The node dies under load, again and again.
    Kills,
    /// The kernel against its model.
    Model,
    /// Money against an oracle.
    Money,
    /// Runs in sandboxes, and the node that dies under them.
    Runs,
    /// What strangers send.
    Fuzz,
}

/// Whether it passed, and what was counted.
type Done = (bool, Vec<String>);

impl Part {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Kills, Self::Model, Self::Money, Self::Runs, Self::Fuzz];

    /// Its name, as it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kills => "kills",
            Self::Model => "model",
            Self::Money => "money",
            Self::Runs => "runs",
            Self::Fuzz => "fuzz",
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it does not build or start.
    pub fn run(self, place: &Place) -> Result<Done, Error> {
        match self {
            Self::Kills => kills(place),
            Self::Model => model(place),
            Self::Money => money(place),
            Self::Runs => runs(place),
            Self::Fuzz => {
                let fuzzed = fuzz::all(place, FUZZ)?;
                let passed = fuzzed.iter().all(|one| !one.found);
                Ok((passed, fuzzed.iter().map(ToString::to_string).collect()))
            }
        }
    }
}

fn kills(place: &Place) -> Result<Done, Error> {
    run(cargo(&place.repository).args(["build", "-p", "ringfence", "-p", "ringfence-tests", "--bins"]))?;
    let mut test = cargo(&place.repository);
    test.args(["test", "-p", "ringfence-tests", "--test", "crash", "--", "--nocapture"]);
    test.env("RINGFENCE_KILLS", KILLS.to_string()).env("RINGFENCE_PARTS", &place.parts);
    told(&mut test, &["RINGFENCE_SEED=", " kills, ", " executed, "])
}

fn model(place: &Place) -> Result<Done, Error> {
    let test = || {
        let mut test = cargo(&place.repository);
        test.args(["test", "-p", "ringfence-kernel", "--test", "model"]);
        test
    };
    run(test().arg("--no-run"))?;
    let share = |_| {
        let mut test = test();
        test.args(["--", "--nocapture", "the_kernel_agrees"]);
        test.env("RINGFENCE_MODEL_SEQUENCES", (SEQUENCES / MODELS).to_string());
        told(&mut test, &[": no divergence"])
    };
    let dones: Vec<Result<Done, Error>> = thread::scope(|scope| {
        let shares: Vec<_> = (0..MODELS)
            .map(|index| {
                let share = scope.spawn(move || share(index));
                thread::sleep(APART);
                share
            })
            .collect();
        shares.into_iter().map(|share| share.join().unwrap_or_else(|_| Ok((false, Vec::new())))).collect()
    });
    let dones: Vec<Done> = dones.into_iter().collect::<Result<_, _>>()?;
    let passed = dones.iter().all(|(passed, counts)| *passed && counts.len() == 1);
    Ok((passed, dones.into_iter().flat_map(|(_, counts)| counts).collect()))
}

/// One process: it does several sequences at once by itself.
fn money(place: &Place) -> Result<Done, Error> {
    let mut test = cargo(&place.repository);
    test.args(["test", "-p", "ringfence-kernel", "--test", "money", "--", "--nocapture"]);
    test.env("RINGFENCE_MONEY_SEQUENCES", MONEY.to_string());
    told(&mut test, &[": every sum was exact", " samples"])
}

fn runs(place: &Place) -> Result<Done, Error> {
    run(cargo(&place.repository).args(["build", "-p", "ringfence", "-p", "ringfence-tests", "--bins"]))?;
    let mut test = cargo(&place.repository);
    test.args(["test", "-p", "ringfence-tests", "--test", "runs_crash", "--", "--nocapture"]);
    test.env("RINGFENCE_RUNS", RUNS.to_string()).env("RINGFENCE_KILLS", RUNS_KILLS.to_string());
    told(&mut test, &["RINGFENCE_SEED=", " runs, ", " states kept, ", " calls of models, "])
}

/// Runs a test, and keeps the lines that say what it counted.
fn told(test: &mut std::process::Command, wanted: &[&str]) -> Result<Done, Error> {
    let counts = Mutex::new(Vec::new());
    let passed = watch(test, |line| {
        if wanted.iter().any(|wanted| line.contains(wanted))
            && let Ok(mut counts) = counts.lock()
        {
            counts.push(line.trim().to_owned());
        }
    })?;
    Ok((passed, counts.into_inner().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::Part;

    #[test]
    fn every_part_is_run_and_has_the_name_that_is_typed() {
        assert_eq!(Part::ALL, Part::value_variants());
        for part in Part::ALL {
            assert_eq!(Part::from_str(part.name(), false), Ok(part));
        }
    }
}
