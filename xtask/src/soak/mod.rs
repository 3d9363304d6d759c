//! The long tests: what `cargo xtask test` does for a short time, for as long as it takes to be believed.

mod part;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::place::Place;
pub use part::Part;

/// What came of one part.
struct Line {
    part: Part,
    passed: bool,
    counts: Vec<String>,
    took: Duration,
}

/// Runs the given parts, or all, one after the other, and prints what came of them as docs/soak.md records it.
///
/// # Errors
/// When one failed.
pub fn run(place: &Place, parts: &[Part]) -> Result<(), Error> {
    let mut lines = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| parts.is_empty() || parts.contains(part)) {
        eprintln!("\n== {} ==", part.name());
        let began = Instant::now();
        let done = part.run(place);
        if let Err(error) = &done {
            eprintln!("{}: {error}", part.name());
        }
        let (passed, counts) = done.unwrap_or_default();
        lines.push(Line { part, passed, counts, took: began.elapsed() });
    }
    print!("{}", table(&lines));
    let failed: Vec<&str> = lines.iter().filter(|line| !line.passed).map(|line| line.part.name()).collect();
    if failed.is_empty() { Ok(()) } else { Err(Error::Phases(failed.join(", "))) }
}

/// The table of docs/soak.md.
fn table(lines: &[Line]) -> String {
    let mut text = String::from("\n| part | result | counts | took |\n|---|---|---|---|\n");
    for Line { part, passed, counts, took } in lines {
        let (result, minutes) = (if *passed { "passed" } else { "FAILED" }, took.as_secs().div_ceil(60));
        let _ = writeln!(text, "| {} | {result} | {} | {minutes} min |", part.name(), counts.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Line, Part, table};

    #[test]
    fn the_table_says_what_came_of_each_part() {
        let line = |part, passed, counts: &[&str]| Line {
            part,
            passed,
            counts: counts.iter().map(|&count| count.to_owned()).collect(),
            took: Duration::from_secs(61),
        };
        let text = table(&[line(Part::Kills, true, &["a", "b"]), line(Part::Fuzz, false, &[])]);
        assert!(
            text.ends_with("| kills | passed | a; b | 2 min |\n| fuzz | FAILED |  | 2 min |\n"),
            "{text}"
        );
    }
}
