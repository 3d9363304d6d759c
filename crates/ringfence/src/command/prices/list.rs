//! `ringfence prices list`

use clap::Args;
use ringfence_policy::Glob;

use super::book::{Row, Which};
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Table;

/// List what calls would be charged, in US dollars for a million tokens
///
/// Configured models first, then the files of `prices:`, then the table that ships: of two with one name the first counts.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence prices list --model 'claude-*'")]
pub struct List {
    /// Only models whose name fits: * and ?
    #[arg(long, value_name = "GLOB")]
    model: Option<String>,
    #[command(flatten)]
    which: Which,
}

impl List {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let glob = self.model.as_deref().map(Glob::new);
        let rows: Vec<Row> = self
            .which
            .rows()?
            .into_iter()
            .filter(|row| glob.as_ref().is_none_or(|glob| fits(row, glob)))
            .collect();
        let output = global.output();
        if output.is_json() {
            return rows.iter().try_for_each(|row| output.document(&row.document()));
        }
        let mut table = Table::new(["model", "from", "input", "cached", "output", "as of", "source"]);
        for row in &rows {
            let (price, base) = (&row.known.price, &row.known.price.standard.base);
            table.row([
                shown(row),
                crate::safe(&row.from),
                base.input.to_string(),
                base.cached_input.to_string(),
                base.output.to_string(),
                if price.as_of.is_empty() { "-".to_owned() } else { crate::safe(&price.as_of) },
                crate::safe(&price.source),
            ]);
        }
        output.table(&table, "no model of that name has a price")
    }
}

fn fits(row: &Row, glob: &Glob) -> bool {
    let model = row.name.split_once('/').filter(|_| row.model.is_some()).map(|(_, model)| model);
    glob.matches(&row.name)
        || model.is_some_and(|model| glob.matches(model))
        || row.model.as_deref().is_some_and(|model| glob.matches(model))
}

fn shown(row: &Row) -> String {
    match &row.model {
        Some(model) if !row.name.ends_with(&format!("/{model}")) => {
            format!("{} ({})", crate::safe(&row.name), crate::safe(model))
        }
        _ => crate::safe(&row.name),
    }
}
