//! What people and programs read: tables and sentences for people, JSON for programs.

mod progress;
mod style;
mod table;

use std::io::Write;

use ringfence_json::Value;

pub use progress::Progress;
pub use style::{Style, paint};
pub use table::Table;

use crate::failure::Failure;

/// Where answers go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    colour: bool,
}

// === impl Output ===

impl Output {
    /// Answers on standard output; `json` for programs.
    pub fn new(json: bool) -> Self {
        Self { json, colour: style::wanted() }
    }

    /// Whether a program reads.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether colour may be used.
    pub fn colour(self) -> bool {
        self.colour && !self.json
    }

    /// Writes one line.
    #[expect(clippy::unused_self, reason = "an output is where text goes, in whatever form")]
    pub fn line(self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Writes text that ends its own lines.
    #[expect(clippy::unused_self, reason = "an output is where text goes, in whatever form")]
    pub fn text(self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Writes one JSON document on one line.
    pub fn document(self, value: &Value) -> Result<(), Failure> {
        self.line(&String::from_utf8_lossy(&value.to_bytes()))
    }

    /// Writes a table, or the sentence `empty` when it has no rows.
    pub fn table(self, table: &Table, empty: &str) -> Result<(), Failure> {
        if table.is_empty() { self.line(empty) } else { self.text(&table.render(self.colour())) }
    }
}
