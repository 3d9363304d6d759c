//! Fuzzing what strangers send: the targets of `fuzz/`, built so that coverage is counted, and run for a while each.

mod build;
mod finding;
mod run;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use crate::error::Error;
use crate::place::Place;
use build::Built;
pub use run::Fuzzed;

/// How long each target runs in `cargo xtask test`: all together a minute and a half.
pub const IN_TESTS: Duration = Duration::from_secs(13);

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// JSON-RPC messages.
    Message,
    /// Policies in YAML, and what they decide.
    Policy,
    /// Entries and segments of the log.
    Log,
    /// Streams of models' answers.
    Stream,
    /// What is translated between the APIs of two providers.
    Translate,
    /// Requests for models.
    Request,
    /// Tables of prices.
    Prices,
}

// === impl Target ===

impl Target {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Message, Self::Policy, Self::Log, Self::Stream, Self::Translate, Self::Request, Self::Prices];

    /// Its name, as it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Policy => "policy",
            Self::Log => "log",
            Self::Stream => "stream",
            Self::Translate => "translate",
            Self::Request => "request",
            Self::Prices => "prices",
        }
    }

    /// The longest input, in bytes. What is longer takes longer, and rarely shows anything new.
    fn bytes_max(self) -> usize {
        match self {
            Self::Message | Self::Policy | Self::Translate | Self::Request | Self::Prices => 4 << 10,
            Self::Stream => 8 << 10,
            Self::Log => 16 << 10,
        }
    }
}

/// The chore: fuzzes the given targets, or all, for that long each; or gives one input to one target again.
///
/// # Errors
/// When the targets do not build, or something was found.
pub fn chore(place: &Place, targets: &[Target], time: Duration, input: Option<&Path>) -> Result<(), Error> {
    let built = Built::new(place)?;
    if let (Some(input), [target, ..]) = (input, targets) {
        return run::again(&built, *target, input);
    }
    let targets = if targets.is_empty() { &Target::ALL } else { targets };
    let fuzzed = run::all(&built, targets, time)?;
    let found: Vec<&str> = fuzzed.iter().filter(|one| one.found).map(|one| one.target.name()).collect();
    if found.is_empty() { Ok(()) } else { Err(Error::Found(found.join(", "))) }
}

/// Builds the targets and fuzzes all of them for that long each.
///
/// # Errors
/// When they do not build or do not start. What was found is in the answer.
pub fn all(place: &Place, time: Duration) -> Result<Vec<Fuzzed>, Error> {
    run::all(&Built::new(place)?, &Target::ALL, time)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::Target;
    use crate::place::Place;

    #[test]
    fn every_target_has_its_program_its_seeds_and_its_words() {
        let fuzz = Place::here().repository.join("fuzz");
        assert_eq!(Target::ALL, Target::value_variants());
        for target in Target::ALL {
            let name = target.name();
            assert_eq!(Target::from_str(name, false), Ok(target));
            for file in [format!("targets/{name}.rs"), format!("dictionaries/{name}.dict")] {
                assert!(fuzz.join(&file).is_file(), "{file}");
            }
            assert!(
                fuzz.join("seeds").join(name).read_dir().unwrap().next().is_some(),
                "{name} has no seeds"
            );
        }
    }
}
