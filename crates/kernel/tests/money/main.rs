//! Money against an oracle: random interleavings of calls, settlements, bad days, changes of budgets and of the calendar,
//! after each of which the kernel has spent and set aside what a list of all calls adds up to, and has cleared, lowered
//! or refused what that list says it must.
//!
//! The oracle is written from the design, not from the kernel: it keeps no sums, and finds out what fits by trying.
//! `RINGFENCE_MONEY_SEQUENCES` says how many sequences to try; one that fails prints its seed, and `RINGFENCE_SEED` runs
//! that one alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

#[path = "../common/mod.rs"]
mod common;

mod driver;
mod nodes;
mod oracle;
mod price;
#[path = "../model/shrink.rs"]
mod shrink;
mod steps;
mod together;
mod told;
mod world;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use common::random::Random;
use driver::run;

/// Tried when nothing else is asked for; as many as fit in some seconds of an unoptimised build.
const SEQUENCES: u64 = 300;

/// Sequences wait for the disk more than they work.
const AT_ONCE: usize = 8;

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs one sequence. A divergence is cut down to what is needed for it.
fn check(seed: u64) -> Result<usize, String> {
    let steps = steps::sequence(&mut Random::new(seed));
    let Err(divergence) = run(&steps) else { return Ok(steps.len()) };
    let (steps, divergence) = shrink::shrink(steps, divergence);
    let listed: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
    Err(format!(
        "kernel and oracle disagree (RINGFENCE_SEED={seed} runs this again), at the end of\n{}\n{divergence}",
        listed.join("\n")
    ))
}

/// Does so many things, several at once, until one fails.
fn each(count: u64, one: impl Fn(u64) -> Result<(), String> + Sync) {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    if let Err(failure) = one(index) {
                        next.store(count, Ordering::Relaxed);
                        failed.lock().unwrap().get_or_insert(failure);
                    }
                }
            });
        }
    });
    if let Some(failure) = failed.into_inner().unwrap() {
        panic!("{failure}");
    }
}

#[test]
fn money_adds_up_whatever_happens() {
    if let Some(seed) = number_from("RINGFENCE_SEED") {
        check(seed).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let sequences = number_from("RINGFENCE_MONEY_SEQUENCES").unwrap_or(SEQUENCES);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let first = u64::try_from(now & 0xffff_ffff_ffff).unwrap();
    println!("{sequences} sequences, the first of seed {first}");
    let (started, steps) = (Instant::now(), AtomicU64::new(0));
    each(sequences, |index| {
        steps.fetch_add(check(first + index)? as u64, Ordering::Relaxed);
        Ok(())
    });
    let (steps, took) = (steps.into_inner(), started.elapsed());
    println!("{sequences} sequences, {steps} steps, {took:.1?}: every sum was exact");
}

/// The oracle is only worth something if its sequences reach what they are meant to reach.
#[test]
fn the_sequences_reach_everything() {
    let all = Mutex::new(BTreeSet::new());
    each(80, |seed| {
        let steps = steps::sequence(&mut Random::new(seed));
        let reached = driver::reached(&steps).map_err(|failure| format!("seed {seed}: {failure}"))?;
        all.lock().unwrap().extend(reached);
        Ok(())
    });
    let reached = all.into_inner().unwrap();
    for wanted in [
        "cleared",
        "lowered",
        "over_budget",
        "invalid_input",
        "not_granted",
        "suspended",
        "deadline",
        "gone",
        "over",
        "late",
        "late and over",
        "restarted",
        "log failed",
    ] {
        assert!(reached.contains(wanted), "{wanted} is never reached: {reached:?}");
    }
}
