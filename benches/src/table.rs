//! Results: a table for people, lines of JSON for programs.

use serde_json::{Map, Value, json};

use crate::fsync::Syncs;
use crate::histogram::{Times, ms, us};

/// One cell.
pub enum Cell {
    /// Words.
    Text(String),
    /// A count.
    Count(u64),
    /// A figure, and the digits after the point that mean something.
    Figure(f64, usize),
    /// Not measured.
    None,
}

/// A bound of docs/benchmarks.md, and what was measured.
pub struct Goal {
    /// What is bounded.
    pub what: String,
    /// What was measured.
    pub measured: f64,
    /// Whether the measured value is to be at least or at most the bound.
    pub at: Bound,
    /// The unit of both.
    pub unit: &'static str,
}

/// A bound.
pub enum Bound {
    /// Not less.
    Least(f64),
    /// Not more.
    Most(f64),
}

/// The results of one bench.
pub struct Table {
    bench: &'static str,
    title: String,
    /// The names of the columns, which say their unit.
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<String>,
    goals: Vec<Goal>,
    fsync: Option<(f64, f64)>,
}

// === impl Table ===

impl Table {
    /// An empty table.
    pub fn new(bench: &'static str, title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            bench,
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
            goals: Vec::new(),
            fsync: None,
        }
    }

    /// One more row, a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// One more sentence below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// One more goal below the table.
    pub fn goal(&mut self, what: impl Into<String>, measured: f64, at: Bound, unit: &'static str) {
        self.goals.push(Goal { what: what.into(), measured, at, unit });
    }

    /// What the disk's sync cost in the same run.
    pub fn fsync(&mut self, syncs: &Syncs) {
        self.fsync = Some((us(syncs.new.p50()), us(syncs.new.p99())));
        let said = |times: &Times| format!("p50 {:.2} ms, p99 {:.2} ms", ms(times.p50()), ms(times.p99()));
        let (new, again, count) = (said(&syncs.new), said(&syncs.again), syncs.new.count());
        self.note(format!(
            "fsync of this run (4 KiB and fdatasync, {count} times): {new}; of a block written before: {again}"
        ));
    }

    /// Prints it.
    pub fn print(&self, as_json: bool) {
        if as_json {
            self.lines().iter().for_each(|line| println!("{line}"));
        } else {
            println!("{}", self.text());
        }
    }

    fn lines(&self) -> Vec<Value> {
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.json()));
            let mut line = Map::from_iter([("bench".to_owned(), json!(self.bench))]);
            line.extend(cells);
            if let Some((p50, p99)) = self.fsync {
                line.insert("fsync p50 µs".to_owned(), json!(p50));
                line.insert("fsync p99 µs".to_owned(), json!(p99));
            }
            Value::Object(line)
        });
        let goals = self.goals.iter().map(|goal| {
            json!({
                "bench": self.bench, "goal": goal.what, "unit": goal.unit, "measured": goal.measured,
                "at_least": goal.at.least(), "at_most": goal.at.most(), "met": goal.met(),
            })
        });
        rows.chain(goals).collect()
    }

    fn text(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |row: &[String]| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        let rule = widths.iter().map(|width| format!("{}:", "-".repeat(width + 1)));
        let mut text = vec![format!("## {}\n", self.title), line(&head)];
        text.push(format!("|{}|", rule.collect::<Vec<_>>().join("|")));
        text.extend(rows.iter().map(|row| line(row)));
        text.push(String::new());
        text.extend(self.notes.iter().map(|note| format!("- {note}")));
        text.extend(self.goals.iter().map(|goal| format!("- {}", goal.text())));
        text.push(String::new());
        text.join("\n")
    }
}

// === impl Goal ===

impl Goal {
    fn met(&self) -> bool {
        match self.at {
            Bound::Least(bound) => self.measured >= bound,
            Bound::Most(bound) => self.measured <= bound,
        }
    }

    fn text(&self) -> String {
        let verdict = if self.met() { "met" } else { "MISSED" };
        let (word, bound) = match self.at {
            Bound::Least(bound) => ("at least", bound),
            Bound::Most(bound) => ("at most", bound),
        };
        let (what, unit) = (&self.what, self.unit);
        format!("{verdict}: {what}: {} {unit} (goal: {word} {} {unit})", plain(self.measured), plain(bound))
    }
}

// === impl Bound ===

impl Bound {
    fn least(&self) -> Option<f64> {
        if let Self::Least(bound) = self { Some(*bound) } else { None }
    }

    fn most(&self) -> Option<f64> {
        if let Self::Most(bound) = self { Some(*bound) } else { None }
    }
}

// === impl Cell ===

impl Cell {
    /// Words.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            Self::Count(count) => thousands(&format!("{:.0}", *count as f64)),
            Self::Figure(figure, digits) => thousands(&format!("{figure:.digits$}")),
            Self::None => "–".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Count(count) => json!(count),
            Self::Figure(figure, _) => json!(figure),
            Self::None => Value::Null,
        }
    }
}

/// A figure with about three digits that mean something.
fn plain(figure: f64) -> String {
    let digits = match figure.abs() {
        ..0.1 => 4,
        ..10.0 => 3,
        ..1_000.0 => 1,
        _ => 0,
    };
    thousands(&format!("{figure:.digits$}"))
}

/// Puts commas between thousands.
fn thousands(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Bound, Cell, Table, thousands};

    fn table() -> Table {
        let mut table = Table::new("log", "The log", &["appenders", "entries/s"]);
        table.row(vec![Cell::Count(256), Cell::Figure(102_345.67, 0)]);
        table.row(vec![Cell::from_text("all"), Cell::None]);
        table.goal("entries/s", 102_345.67, Bound::Least(40_000.0), "/s");
        table.goal("p99", 4.5, Bound::Most(3.0), "ms");
        table
    }

    #[test]
    fn people_read_a_table_with_its_goals() {
        let expected = "## The log

| appenders | entries/s |
|----------:|----------:|
|       256 |   102,346 |
|       all |         – |

- met: entries/s: 102,346 /s (goal: at least 40,000 /s)
- MISSED: p99: 4.500 ms (goal: at most 3.000 ms)
";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn programs_read_a_line_for_each_row_and_each_goal() {
        let lines = table().lines();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["appenders"], 256);
        assert!(lines[1]["entries/s"].is_null());
        assert_eq!(lines[2]["met"], true);
        assert_eq!((&lines[3]["met"], &lines[3]["at_most"]), (&false.into(), &3.0.into()));
    }

    #[test]
    fn thousands_have_commas_and_fractions_have_none() {
        for (plain, expected) in [
            ("1", "1"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.25", "-1,234,567.25"),
            ("0.1234", "0.1234"),
        ] {
            assert_eq!(thousands(plain), expected);
        }
    }
}
