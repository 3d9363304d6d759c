//! The figures: built as they are shipped, then measured.

use std::path::PathBuf;

use crate::error::Error;
use crate::install;
use crate::place::Place;
use crate::program::{cargo, run};

/// What to do when the other gateways cannot be installed.
const WITHOUT_PEERS: &str = "The gateways that are measured beside this one come from PyPI and npm (800 MB). With a network, run this again; \
     without one: cargo xtask bench llm --only direct,ringfence";

/// Builds the program and the benches with the release profile, and measures. What follows `bench` goes to the benches.
///
/// # Errors
/// When a build fails, or something could not be measured. A goal that is missed is no error.
pub fn run_benches(place: &Place, arguments: &[String]) -> Result<(), Error> {
    if needs_peers(arguments) {
        install::peers(place).inspect_err(|_| eprintln!("{WITHOUT_PEERS}"))?;
    }
    // A build for each: together, Cargo would give the program what only the benches ask of its dependencies.
    for package in ["ringfence", "ringfence-benches", "ringfence-mock-model"] {
        run(cargo(&place.repository).args(["build", "--quiet", "--release", "-p", package]))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = place.repository.join(target).join("release/ringfence-benches");
    let mut benches = std::process::Command::new(program);
    benches.args(arguments).current_dir(&place.repository).env("RINGFENCE_PARTS", &place.parts);
    run(&mut benches)
}

/// Whether another gateway is measured as well.
fn needs_peers(arguments: &[String]) -> bool {
    let only =
        arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1));
    let peers = only.is_none_or(|only| only.contains("litellm") || only.contains("portkey"));
    let help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    peers && !help && arguments.iter().any(|argument| argument == "llm" || argument == "burst")
}

#[cfg(test)]
mod tests {
    use super::needs_peers;

    #[test]
    fn other_gateways_are_installed_only_when_they_are_measured() {
        let needs = |line: &str| needs_peers(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(needs("llm --quick") && needs("burst") && needs("llm --only direct,litellm"));
        assert!(
            !needs("calls")
                && !needs("streams")
                && !needs("llm --only direct,ringfence")
                && !needs("llm --help")
        );
    }
}
