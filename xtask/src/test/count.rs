//! How many tests passed and failed, by what the runners print.

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed.
    pub passed: u64,
    /// Failed, or did not come to an end.
    pub failed: u64,
    /// Inputs that were tried by fuzzing.
    pub executions: u64,
}

impl Count {
    /// A single check.
    pub fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), executions: 0 }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            executions: self.executions + other.executions,
        }
    }

    /// Reads a runner's closing line; `None` for any other line.
    ///
    /// cargo-nextest: `Summary [ 24.068s] 25 tests run: 23 passed (1 slow), 2 failed, 0 skipped`.
    /// cargo test: `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    /// cargo-nextest repeats that line, indented, for each failed test; it is not counted twice.
    pub fn read(line: &str) -> Option<Self> {
        let counts = match line.strip_prefix("test result: ") {
            Some(result) => result.split_once(". ")?.1,
            None if line.trim_start().starts_with("Summary [") => line.split_once(" run: ")?.1,
            None => return None,
        };
        let mut count = Self::default();
        for part in counts.split([',', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            if what.starts_with("passed") {
                count.passed += number;
            } else if ["failed", "timed out", "exec failed"].iter().any(|bad| what.starts_with(bad)) {
                count.failed += number;
            }
        }
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn the_closing_lines_of_both_runners_are_read() {
        for (line, passed, failed) in [
            ("     Summary [  24.068s] 25 tests run: 25 passed, 0 skipped", 25, 0),
            (
                "     Summary [   1.2s] 5 tests run: 2 passed (1 slow, 1 flaky), 1 failed, 2 timed out, 9 skipped",
                2,
                3,
            ),
            ("     Summary [   0.1s] 2/5 tests run: 1 passed, 1 failed, 0 skipped", 1, 1),
            ("     Summary [   0.1s] 1 test run: 1 passed, 0 skipped", 1, 0),
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                3,
                0,
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
                3,
                2,
            ),
        ] {
            assert_eq!(Count::read(line), Some(Count { passed, failed, executions: 0 }), "{line}");
        }
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in [
            "3 passed, 2 failed",
            "running 3 tests",
            "    PASS [ 0.1s] a summary of 2 passed",
            "",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 14 filtered out; finished in 0.16s",
        ] {
            assert_eq!(Count::read(line), None, "{line}");
        }
    }
}
