//! `ringfence audit export`

use clap::{Args, ValueEnum};
use ringfence_json::{Object, Value};

use super::{Wanted, source};
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Progress;

/// The columns of a CSV export: the members that most entries have; `entry` is all of it.
const COLUMNS: [&str; 22] = [
    "id",
    "at",
    "node",
    "kind",
    "workspace",
    "agent",
    "run",
    "user",
    "conversation",
    "server",
    "tool",
    "model",
    "operation",
    "action",
    "decision",
    "rule",
    "code",
    "status",
    "approval",
    "approver",
    "reason",
    "entry",
];

/// Write entries for another system: JSON lines or CSV
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence audit export --format csv --since 24h > yesterday.csv")]
pub struct Export {
    #[command(flatten)]
    wanted: Wanted,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One entry a line, as it stands in the log
    Jsonl,
    /// RFC 4180, with a heading
    Csv,
}

impl Export {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let filter = self.wanted.filter()?;
        let output = global.output();
        let source = source::find(global).await?;
        if self.format == Format::Csv {
            output.text(&format!("{}\r\n", COLUMNS.join(",")))?;
        }
        let progress = Progress::beside_output("exporting", source.size().await);
        let write = |entry: &Object| match self.format {
            Format::Jsonl => output.document(&Value::Object(entry.clone())),
            Format::Csv => output.text(&format!("{}\r\n", record(entry))),
        };
        source.each(&filter, &progress, write).await.map(drop)
    }
}

fn record(entry: &Object) -> String {
    let whole = || String::from_utf8_lossy(&entry.to_canonical()).into_owned();
    let cell = |column: &&str| match (*column, entry.get(column)) {
        ("entry", _) => csv(&whole()),
        (_, Some(Value::String(text))) => csv(text),
        (_, Some(other)) => csv(&String::from_utf8_lossy(&other.to_bytes())),
        (_, None) => String::new(),
    };
    COLUMNS.iter().map(cell).collect::<Vec<_>>().join(",")
}

/// A field of RFC 4180. One that a spreadsheet would take for a formula gets an apostrophe before it: it may come
/// from an agent.
fn csv(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula_gets_through() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=cmd()", "'=cmd()"),
            ("-1+1", "'-1+1"),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(csv(text), expected);
        }
    }

    #[test]
    fn a_record_has_every_column() {
        let entry = Object::new().with("id", 7u64).with("kind", "intent").with("reason", "a, b");
        let record = record(&entry);
        assert!(record.starts_with("7,,,intent,") && record.contains("\"a, b\""), "{record}");
    }
}
