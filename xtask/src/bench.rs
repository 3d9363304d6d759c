//! The figures: built as they are shipped, then measured.

use std::path::PathBuf;

use crate::error::Error;
use crate::place::Place;
use crate::program::{cargo, run};

/// Builds the program and the benches with the release profile, and measures. What follows `bench` goes to the benches.
///
/// # Errors
/// When a build fails, or something could not be measured. A goal that is missed is no error.
pub fn run_benches(place: &Place, arguments: &[String]) -> Result<(), Error> {
    // Two builds: together, Cargo would give the program what only the benches ask of its dependencies.
    for package in ["ringfence", "ringfence-benches"] {
        run(cargo(&place.repository).args(["build", "--quiet", "--release", "-p", package]))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = place.repository.join(target).join("release/ringfence-benches");
    run(std::process::Command::new(program).args(arguments).current_dir(&place.repository))
}
