//! Running the targets.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fmt, fs};

use super::Target;
use super::build::Built;
use super::finding;
use crate::error::{Error, at};
use crate::program;

/// One input may take this long; none comes near, unless something does not end.
const INPUT_SECONDS_MAX: u64 = 60;

/// What a target may hold in memory, in MiB.
const MEMORY_MIB_MAX: u64 = 2_048;

/// What came of one target.
#[derive(Debug)]
pub struct Fuzzed {
    /// Which.
    pub target: Target,
    /// How many inputs it was given.
    pub executions: u64,
    /// Whether one of them broke a promise.
    pub found: bool,
}

/// Runs targets one after the other.
///
/// # Errors
/// When one does not start.
pub fn all(built: &Built, targets: &[Target], time: Duration) -> Result<Vec<Fuzzed>, Error> {
    targets.iter().map(|target| one(built, *target, time)).collect()
}

fn one(built: &Built, target: Target, time: Duration) -> Result<Fuzzed, Error> {
    let corpus = folder(built, "corpus", target)?;
    let findings = folder(built, "findings", target)?;
    let mut command = base(built, target);
    command
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-max_len={}", target.bytes_max()))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg(format!(
            "-dict={}",
            built.package.join(format!("dictionaries/{}.dict", target.name())).display()
        ))
        .args(["-print_final_stats=1", "-reduce_inputs=1"])
        .args([corpus, built.package.join("seeds").join(target.name())]);
    // It says a lot, none of which matters unless it finds something.
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|source| Error::Start { program: target.name().to_owned(), source })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let found = !output.status.success();
    let fuzzed = Fuzzed { target, executions: executions(&said), found };
    if found {
        finding::show(target, &said);
    }
    println!("{fuzzed}");
    Ok(fuzzed)
}

/// Gives one input to a target; it speaks for itself.
///
/// # Errors
/// When it breaks something.
pub fn again(built: &Built, target: Target, input: &Path) -> Result<(), Error> {
    program::run(base(built, target).arg(input))
}

fn base(built: &Built, target: Target) -> Command {
    let mut command = Command::new(built.program(target.name()));
    command
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .env("RUST_BACKTRACE", "0");
    command
}

fn folder(built: &Built, what: &str, target: Target) -> Result<PathBuf, Error> {
    let path = built.work.join(what).join(target.name());
    fs::create_dir_all(&path).map_err(at(&path))?;
    Ok(path)
}

/// From `stat::number_of_executed_units: 123`, or the last line of progress, `#123 …`.
fn executions(said: &str) -> u64 {
    let number = |line: &str| {
        let rest = line.strip_prefix("stat::number_of_executed_units:").or_else(|| line.strip_prefix('#'))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    said.lines().rev().find_map(number).unwrap_or(0)
}

// === impl Fuzzed ===

impl fmt::Display for Fuzzed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = if self.found { "FOUND something" } else { "nothing found" };
        write!(f, "fuzz {}: {} executions, {found}", self.target.name(), self.executions)
    }
}

#[cfg(test)]
mod tests {
    use super::executions;

    #[test]
    fn executions_are_read_from_the_end_of_what_the_fuzzer_says() {
        let finished =
            "#2\tINITED cov: 9\n#900\tDONE cov: 10\nstat::number_of_executed_units: 907\nstat::new: 3\n";
        assert_eq!(executions(finished), 907);
        assert_eq!(executions("#2\tINITED cov: 9\n#64\tNEW cov: 10\nthread panicked\n"), 64);
        assert_eq!(executions("no such file\n"), 0);
    }
}
