//! `prices:`: files with prices of models.

use std::path::Path;
use std::sync::Arc;

use ringfence_document::{Diagnostic, Node, Report};
use ringfence_prices::Table;

use super::super::PricesFile;
use super::super::load::{SourceText, read_text};
use super::Origin;
use crate::limits::PRICES_FILES_MAX;

/// The files, and everything that is to be said of them.
#[derive(Default)]
pub(super) struct Prices {
    /// Those that could be read.
    pub files: Vec<PricesFile>,
    /// Their texts, also of those that are wrong.
    pub texts: Vec<SourceText>,
    /// What is wrong inside of them.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the list, or one name alone, and each file.
pub(super) fn read_all(node: &Node, origin: Origin<'_>, report: &mut Report) -> Prices {
    let names = node.one_or_many();
    let mut prices = Prices::default();
    if names.len() > PRICES_FILES_MAX {
        report.error(node.place, format!("more than {PRICES_FILES_MAX} files with prices"));
        return prices;
    }
    for name in names {
        prices.add(name, origin, report);
    }
    prices
}

impl Prices {
    fn add(&mut self, node: &Node, origin: Origin<'_>, report: &mut Report) {
        let Some(shown) = node.text("a file with prices", report) else { return };
        let path = origin.folder.join(shown.as_str());
        if self.texts.iter().any(|text| text.path == path) {
            report.error(node.place, format!("`{}` stands here twice", crate::shown::line(shown)));
            return;
        }
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read the prices `{}`: {error}", crate::shown::line(shown));
                report.error_with_hint(node.place, message, "`ringfence prices import` writes such a file");
                return;
            }
        };
        // As it would be written from where this program was called.
        let beside = Path::new(origin.source).parent().unwrap_or(Path::new(""));
        let name = beside.join(shown.as_str()).display().to_string();
        match Table::parse(&name, &text) {
            Ok(table) => {
                let table = Arc::new(table);
                self.files.push(PricesFile { path: path.clone(), shown: shown.clone(), table });
            }
            Err(mut diagnostics) => self.diagnostics.append(&mut diagnostics),
        }
        self.texts.push(SourceText { name, path, text });
    }
}
