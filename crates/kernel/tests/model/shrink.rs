//! A failing sequence without the steps that it fails without.

use crate::driver::run;
use crate::steps::Step;

/// Runs at most.
const TRIES: usize = 150;

/// Leaves out longer and then shorter stretches, as long as what is left still fails.
pub fn shrink(mut steps: Vec<Step>, mut divergence: String) -> (Vec<Step>, String) {
    let mut tries = 0;
    let mut length = steps.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < steps.len() && tries < TRIES {
            tries += 1;
            let mut fewer = steps.clone();
            fewer.drain(at..(at + length).min(steps.len()));
            match run(&fewer) {
                Err(still) => (steps, divergence) = (fewer, still),
                Ok(()) => at += length,
            }
        }
        length /= 2;
    }
    (steps, divergence)
}
