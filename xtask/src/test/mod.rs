//! Everything that must hold, in the order in which problems are cheapest to find.

mod count;
mod phase;
mod summary;

use std::time::Instant;

use crate::error::Error;
use crate::place::Place;

pub use phase::Phase;
use summary::{Line, Summary};

/// Runs the given phases, or all of them, and prints what came of each.
///
/// A phase that fails does not stop the others, but for those that cannot be without it.
///
/// # Errors
/// When a phase failed.
pub fn run(place: &Place, wanted: &[Phase]) -> Result<(), Error> {
    let start = Instant::now();
    let mut summary = Summary::default();
    for phase in Phase::ALL.into_iter().filter(|phase| wanted.is_empty() || wanted.contains(phase)) {
        eprintln!("\n== {} ==", phase.name());
        let began = Instant::now();
        let result = match phase.needs().iter().find(|needed| summary.has_failed(**needed)) {
            Some(needed) => Err(format!("not run, because {} failed", needed.name())),
            None => phase.run(place).map_err(|error| error.to_string()),
        };
        if let Err(reason) = &result {
            eprintln!("{}: {reason}", phase.name());
        }
        summary.add(Line::new(phase, result.ok(), began.elapsed()));
    }
    print!("{}", summary.render(start.elapsed()));
    let failed = summary.failed();
    if failed.is_empty() { Ok(()) } else { Err(Error::Phases(failed.join(", "))) }
}
