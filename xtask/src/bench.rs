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
    let wanted = Wanted::of(arguments);
    if wanted.peers {
        install::peers(place).inspect_err(|_| eprintln!("{WITHOUT_PEERS}"))?;
    }
    // A build for each: together, Cargo would give the program what only the benches ask of its dependencies.
    let packages = ["ringfence-benches", "ringfence-mock-model", "ringfence"];
    for package in packages.into_iter().take(if wanted.node { 3 } else { 2 }) {
        run(cargo(&place.repository).args(["build", "--quiet", "--release", "-p", package]))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = place.repository.join(target).join("release/ringfence-benches");
    let mut benches = std::process::Command::new(program);
    benches.args(arguments).current_dir(&place.repository).env("RINGFENCE_PARTS", &place.parts);
    run(&mut benches)
}

/// What is needed for a measurement.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Other gateways.
    peers: bool,
    /// This one.
    node: bool,
}

impl Wanted {
    fn of(arguments: &[String]) -> Self {
        let named = |names: &[&str]| arguments.iter().any(|argument| names.contains(&argument.as_str()));
        let only =
            arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1));
        let way = |name: &str| only.is_none_or(|only| only.split(',').any(|way| way == name));
        let peers = named(&["llm", "burst"]) && (way("litellm") || way("portkey"));
        let models_only = named(&["llm", "streams", "burst"])
            && !named(&[
                "decision",
                "calls",
                "log",
                "memory",
                "suspension",
                "sandboxes",
                "crowd",
                "egress",
                "steady",
            ]);
        Self { peers: peers && !named(&["--help", "-h"]), node: way("ringfence") || !models_only }
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn only_what_is_measured_is_installed_and_built() {
        for (line, peers, node) in [
            ("", false, true),
            ("calls --quick", false, true),
            ("llm --quick", true, true),
            ("burst --only litellm,ringfence", true, true),
            ("llm --only direct,portkey", true, false),
            ("streams --only direct", false, false),
            ("llm calls --only direct", false, true),
            ("llm --help", false, true),
        ] {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(Wanted::of(&arguments), Wanted { peers, node }, "{line}");
        }
    }
}
