//! What came of each phase, for people and for the last line.

use std::fmt::Write as _;
use std::time::Duration;

use super::count::Count;
use super::phase::Phase;

/// What came of one phase.
#[derive(Debug)]
pub struct Line {
    phase: Phase,
    ok: bool,
    count: Count,
    took: Duration,
}

impl Line {
    /// A phase with what it counted; one that could not even be run (`None`) is a failed check.
    pub fn new(phase: Phase, count: Option<Count>, took: Duration) -> Self {
        let count = count.unwrap_or_else(|| Count::one(false));
        Self { phase, ok: count.failed == 0, count, took }
    }
}

/// What came of all phases.
#[derive(Debug, Default)]
pub struct Summary {
    lines: Vec<Line>,
}

impl Summary {
    /// Adds what came of a phase.
    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Whether a phase was run and failed.
    pub fn has_failed(&self, phase: Phase) -> bool {
        self.lines.iter().any(|line| line.phase == phase && !line.ok)
    }

    /// The phases that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.lines.iter().filter(|line| !line.ok).map(|line| line.phase.name()).collect()
    }

    /// A line for each phase, and the last line with everything together.
    pub fn render(&self, took: Duration) -> String {
        let mut text = String::from("\n");
        for line in &self.lines {
            let result = if line.ok { "ok" } else { "FAILED" };
            let _ = write!(text, "{:<14}{result:<8}{:>10}", line.phase.name(), spoken(line.took));
            if line.count.executions > 0 {
                let _ = write!(text, "   {} executions", line.count.executions);
            }
            text.push('\n');
        }
        let all = self.lines.iter().fold(Count::default(), |all, line| all.plus(line.count));
        let _ = writeln!(text, "{:<22}{:>10}", "together", spoken(took));
        let _ = writeln!(text, "{} passed, {} failed", all.passed, all.failed);
        text
    }
}

fn spoken(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds < 60 {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Line, Summary};
    use crate::test::count::Count;
    use crate::test::phase::Phase;

    #[test]
    fn the_last_line_counts_everything() {
        let mut summary = Summary::default();
        summary.add(Line::new(Phase::Format, Some(Count::one(true)), Duration::from_millis(1_500)));
        summary.add(Line::new(Phase::Lints, None, Duration::from_secs(61)));
        summary.add(Line::new(
            Phase::Unit,
            Some(Count { passed: 40, failed: 1, executions: 0 }),
            Duration::from_secs(5),
        ));
        let fuzzed = Count { passed: 3, failed: 0, executions: 1_234 };
        summary.add(Line::new(Phase::Fuzz, Some(fuzzed), Duration::from_secs(90)));
        let text = summary.render(Duration::from_secs(158));
        assert_eq!(text.lines().last(), Some("44 passed, 2 failed"));
        assert!(text.contains("fuzz          ok      1 min 30 s   1234 executions\n"), "{text}");
        assert!(text.contains("lints         FAILED   1 min 1 s"), "{text}");
        assert_eq!(summary.failed(), ["lints", "unit"]);
        assert!(summary.has_failed(Phase::Unit) && !summary.has_failed(Phase::Format));
    }
}
