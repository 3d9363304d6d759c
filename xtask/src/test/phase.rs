//! The phases and what each runs.

use std::process::Command;
use std::sync::Mutex;

use clap::ValueEnum;

use super::count::Count;
use crate::error::Error;
use crate::fuzz;
use crate::install;
use crate::place::Place;
use crate::program::{answers, cargo, watch};

/// One step of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// The source is formatted.
    Format,
    /// There are no warnings, in tests neither.
    Lints,
    /// Dependencies have licences, sources and versions that we accept.
    Dependencies,
    /// Unit tests, the tests of each crate, and the examples in the documentation.
    Unit,
    /// What strangers send is fuzzed, for some seconds with each target.
    Fuzz,
    /// The parts that the end-to-end tests need are installed.
    Install,
    /// The node and the servers of the end-to-end tests are built.
    Build,
    /// The real node with real clients and real servers.
    EndToEnd,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Format,
        Self::Lints,
        Self::Dependencies,
        Self::Unit,
        Self::Fuzz,
        Self::Install,
        Self::Build,
        Self::EndToEnd,
    ];

    /// Its name, as it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::Dependencies => "dependencies",
            Self::Unit => "unit",
            Self::Fuzz => "fuzz",
            Self::Install => "install",
            Self::Build => "build",
            Self::EndToEnd => "end-to-end",
        }
    }

    /// The phases without which it cannot be.
    pub fn needs(self) -> &'static [Self] {
        match self {
            Self::EndToEnd => &[Self::Install, Self::Build],
            _ => &[],
        }
    }

    /// Runs it and counts what was tested.
    ///
    /// # Errors
    /// When it fails other than by a failed test.
    pub fn run(self, place: &Place) -> Result<Count, Error> {
        let at = || cargo(&place.repository);
        match self {
            Self::Format => {
                let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
                Ok(check(at().args(["fmt", "--all", "--check"]))?.plus(check(at().args(fuzz))?))
            }
            Self::Lints => {
                let everything = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                // Targets that plain test runs leave out are left out there too.
                let end_to_end = ["clippy", "-p", "ringfence-tests", "--test", "*", "--", "-D", "warnings"];
                Ok(check(at().args(everything))?.plus(check(at().args(end_to_end))?))
            }
            Self::Dependencies => {
                let mut deny = Command::new(install::cargo_deny(place)?);
                check(deny.current_dir(&place.repository).args(["check", "bans", "licenses", "sources"]))
            }
            Self::Unit => unit(place),
            Self::Fuzz => fuzzing(place),
            Self::Install => install::everything(place).map(|()| Count::one(true)),
            Self::Build => check(at().args(["build", "-p", "ringfence", "-p", "ringfence-tests", "--bins"])),
            Self::EndToEnd => end_to_end(place),
        }
    }
}

/// A program whose success is one check.
fn check(command: &mut Command) -> Result<Count, Error> {
    watch(command, |_| {}).map(Count::one)
}

fn has_nextest(place: &Place) -> bool {
    answers(cargo(&place.repository).args(["nextest", "--version"]))
}

fn unit(place: &Place) -> Result<Count, Error> {
    let at = || cargo(&place.repository);
    if !has_nextest(place) {
        return tests(at().args(["test", "--workspace", "--no-fail-fast"]));
    }
    let units = tests(at().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
    // Which nextest leaves out.
    let examples = tests(at().args(["test", "--workspace", "--doc", "--no-fail-fast"]))?;
    Ok(units.plus(examples))
}

fn fuzzing(place: &Place) -> Result<Count, Error> {
    let fuzzed = fuzz::all(place, fuzz::IN_TESTS)?;
    let counts = fuzzed.iter().map(|one| Count { executions: one.executions, ..Count::one(!one.found) });
    Ok(counts.fold(Count::default(), Count::plus))
}

fn end_to_end(place: &Place) -> Result<Count, Error> {
    let mut command = cargo(&place.repository);
    if has_nextest(place) {
        command.args(["nextest", "run", "--config-file", "tests/nextest.toml"]);
    } else {
        command.arg("test");
    }
    command.args(["-p", "ringfence-tests", "--test", "*", "--no-fail-fast"]);
    tests(command.env("RINGFENCE_PARTS", &place.parts))
}

/// A test run: the counts of all its closing lines, and a failed check if it failed without a failed test.
fn tests(command: &mut Command) -> Result<Count, Error> {
    let count = Mutex::new(Count::default());
    let passed = watch(command, |line| {
        if let Some(more) = Count::read(line)
            && let Ok(mut count) = count.lock()
        {
            *count = count.plus(more);
        }
    })?;
    let count = count.into_inner().unwrap_or_default();
    Ok(if passed || count.failed > 0 { count } else { count.plus(Count::one(false)) })
}

#[cfg(test)]
mod tests_of_names {
    use clap::ValueEnum;

    use super::Phase;

    #[test]
    fn every_phase_is_run_and_has_the_name_that_is_typed() {
        assert_eq!(Phase::ALL, Phase::value_variants());
        for phase in Phase::ALL {
            assert_eq!(Phase::from_str(phase.name(), false), Ok(phase));
        }
    }
}
