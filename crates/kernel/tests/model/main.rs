//! The kernel against a model: random interleavings of everything that agents, people, time and bad days can do, after
//! each of which the kernel knows and answers what a few plain lists say it must.
//!
//! The model is written from the design (the steps of an admission, what an approval is bound to, what survives a
//! restart), not from the kernel. `RINGFENCE_MODEL_SEQUENCES` says how many sequences to try; a sequence that fails
//! prints its seed, and `RINGFENCE_SEED` runs that one alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

#[path = "../common/mod.rs"]
mod common;

mod approvals;
mod compare;
mod driver;
mod guards;
mod model;
mod nodes;
mod people;
mod shrink;
mod steps;
mod waiters;
mod world;

use std::time::{Duration, Instant};

use common::random::Random;
use driver::run;

/// Tried when nothing else is asked for; as many as fit in a minute of an unoptimised build.
const SEQUENCES: u64 = 200;

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
        "kernel and model disagree (RINGFENCE_SEED={seed} runs this again), at the end of\n{}\n{divergence}",
        listed.join("\n")
    ))
}

#[test]
fn the_kernel_agrees_with_the_model_whatever_happens() {
    if let Some(seed) = number_from("RINGFENCE_SEED") {
        check(seed).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let sequences = number_from("RINGFENCE_MODEL_SEQUENCES").unwrap_or(SEQUENCES);
    let first = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| u64::try_from(now.as_micros() & 0xffff_ffff_ffff).unwrap_or(0));
    println!("{sequences} sequences, the first of seed {first}");
    let started = Instant::now();
    let mut steps = 0;
    for index in 0..sequences {
        steps += check(first + index).unwrap_or_else(|failure| panic!("{failure}"));
    }
    let took: Duration = started.elapsed();
    println!("{sequences} sequences, {steps} steps, {took:.1?}: no divergence");
}

/// The model is only worth something if its sequences reach what they are meant to reach.
#[test]
fn the_sequences_reach_every_answer() {
    let mut reached = std::collections::BTreeSet::new();
    for seed in 0..150 {
        let steps = steps::sequence(&mut Random::new(seed));
        reached.extend(driver::answers(&steps).unwrap_or_else(|failure| panic!("seed {seed}: {failure}")));
    }
    for wanted in [
        "cleared",
        "narrowed",
        "pending",
        "suspended",
        "deadline",
        "not_granted",
        "definition_changed",
        "invalid_input",
        "denied_by_policy",
        "rate_limited",
        "over_budget",
        "breaker_open",
        "repetition",
        "approval_denied",
        "approval_expired",
        "released",
        "restarted",
    ] {
        assert!(reached.contains(wanted), "{wanted} is never reached: {reached:?}");
    }
}
