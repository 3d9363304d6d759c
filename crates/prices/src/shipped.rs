//! The tables that ship, one file for each vendor.

use std::sync::OnceLock;

use crate::{Entry, Known, Table, Vendor};

/// One model of the shipped tables.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// Whose it is.
    pub vendor: Vendor,
    /// What is known of it.
    pub entry: &'static Entry,
}

/// What is known of a model by exactly this name, or this name with a date at its end where the vendor dates its
/// models; `None` for every other, which has no price then.
pub fn shipped(model: &str, vendor: Vendor) -> Option<&'static Known> {
    table(vendor).find(model).map(|entry| &entry.known)
}

/// All that is known, vendor by vendor.
pub fn shipped_entries() -> impl Iterator<Item = Listed> {
    let of = |vendor| table(vendor).entries().iter().map(move |entry| Listed { vendor, entry });
    Vendor::ALL.into_iter().flat_map(of)
}

/// The text of a vendor's table.
fn text(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenAi => include_str!("../data/openai.yaml"),
        Vendor::Anthropic => include_str!("../data/anthropic.yaml"),
        Vendor::Google => include_str!("../data/google.yaml"),
        Vendor::Mistral => include_str!("../data/mistral.yaml"),
        Vendor::DeepSeek => include_str!("../data/deepseek.yaml"),
        Vendor::Xai => include_str!("../data/xai.yaml"),
    }
}

fn table(vendor: Vendor) -> &'static Table {
    static TABLES: [OnceLock<Table>; Vendor::ALL.len()] = [const { OnceLock::new() }; Vendor::ALL.len()];
    // INVARIANT: the place of each vendor in `ALL` is its discriminant; a test holds it to that.
    let table = &TABLES[vendor as usize];
    // The texts are part of this program and a test reads each: the table is only empty in a program that was never
    // tested, and then no model has a price.
    table.get_or_init(|| Table::parse(vendor.as_str(), text(vendor)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use ringfence_document::render;

    use super::*;

    #[test]
    fn every_shipped_table_is_read_whole() {
        for (at, vendor) in Vendor::ALL.into_iter().enumerate() {
            assert_eq!(vendor as usize, at);
            let parsed = Table::parse(vendor.as_str(), text(vendor)).unwrap_or_else(|diagnostics| {
                let said: Vec<_> = diagnostics.iter().map(|said| render(said, text(vendor))).collect();
                panic!("{}", said.join("\n"))
            });
            assert!(!parsed.entries().is_empty(), "{vendor}");
            assert_eq!(&parsed, table(vendor));
        }
    }
}
