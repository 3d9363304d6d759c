//! Columns that line up.

use super::style::{Style, paint};

/// Rows under a heading. Cells are escaped by whoever fills them in.
#[derive(Debug)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

// === impl Table ===

impl Table {
    /// A table with these columns.
    pub fn new<const COLUMNS: usize>(heading: [&str; COLUMNS]) -> Self {
        Self { heading: heading.map(str::to_uppercase).to_vec(), rows: Vec::new() }
    }

    /// A table whose columns are known only now.
    pub fn of(heading: Vec<&str>) -> Self {
        Self { heading: heading.into_iter().map(str::to_uppercase).collect(), rows: Vec::new() }
    }

    /// Adds a row to such a table.
    pub fn add(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Adds a row.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(Vec::from(cells));
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, two spaces between columns, nothing after the last.
    pub fn render(&self, colour: bool) -> String {
        let widths: Vec<usize> = (0..self.heading.len()).map(|column| self.width(column)).collect();
        let heading = line(&self.heading, &widths);
        let mut text = paint(&heading, Style::Heading, colour);
        text.push('\n');
        for row in &self.rows {
            text.push_str(&line(row, &widths));
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = std::iter::once(&self.heading).chain(&self.rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(["name", "state"]);
        table.row(["a".into(), "waiting".into()]);
        table.row(["longer".into(), String::new()]);
        assert_eq!(table.render(false), "NAME    STATE\na       waiting\nlonger\n");
    }
}
