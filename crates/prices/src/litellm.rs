//! LiteLLM's public price list (`model_prices_and_context_window.json`): one object, model by model, with amounts in
//! dollars for one token, written as floats.

mod entry;
mod key;

use ringfence_json::{Limits, Object, ParseError, Value};
use smol_str::SmolStr;

use crate::{Entry, Said, Table};

/// What such a file may be at most. The published one has 3 MB and 150,000 values.
const LIMITS: Limits = Limits { bytes: 64 << 20, depth: 32, values: 4_000_000, number_bytes: 128 };

/// The entry that explains the others.
const EXAMPLE: &str = "sample_spec";

/// What could be taken over, and what not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// The models, in the order of the file. Where an entry names no source of its own, that of its price is empty,
    /// and the day is always: [`Imported::into_table`] fills both in.
    pub entries: Vec<Entry>,
    /// Models that have no price here.
    pub skipped: Vec<Skipped>,
    /// What is not exactly as the file says.
    pub remarks: Vec<Remark>,
}

/// A model that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub name: SmolStr,
    /// Why.
    pub reason: String,
}

/// Something about a model that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The amount had more places than are kept and was rounded up.
    Rounded {
        /// The model.
        name: SmolStr,
        /// Which amount.
        key: SmolStr,
    },
    /// The amount is for something that no call can ask for here.
    LeftOut {
        /// The model.
        name: SmolStr,
        /// Which amount.
        key: SmolStr,
    },
}

/// A file that is not in this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] ParseError),
    /// JSON of another kind.
    #[error("not LiteLLM's price list: an object of models, each an object with `litellm_provider`")]
    Form,
}

/// Reads LiteLLM's price list. Amounts are taken from their literal text; those with more precision than nano-dollars
/// for a million tokens are rounded up. What cannot be said as a price here is skipped, never guessed.
///
/// # Errors
/// When the file is not in that format.
pub fn import_litellm(text: &[u8]) -> Result<Imported, ImportError> {
    let root = ringfence_json::parse(text, &LIMITS)?;
    let models = root.as_object().ok_or(ImportError::Form)?;
    let is_model = |value: &Value| value.get("litellm_provider").is_some();
    if !models.iter().any(|(_, value)| is_model(value)) {
        return Err(ImportError::Form);
    }
    let mut imported = Imported::default();
    for (name, value) in models.iter().filter(|(name, _)| *name != EXAMPLE) {
        match value.as_object() {
            Some(object) => imported.take(name, object),
            None => imported.skip(name, "it is not an object"),
        }
    }
    Ok(imported)
}

// === impl Imported ===

impl Imported {
    fn take(&mut self, name: &SmolStr, object: &Object) {
        let mut remarks = Vec::new();
        match entry::read(name, object, &mut remarks) {
            Ok(entry) => {
                self.entries.push(entry);
                self.remarks.append(&mut remarks);
            }
            Err(reason) => self.skip(name, reason),
        }
    }

    fn skip(&mut self, name: &SmolStr, reason: impl Into<String>) {
        self.skipped.push(Skipped { name: name.clone(), reason: reason.into() });
    }

    /// A table of what was taken over; `said` is who says so where an entry does not, and the day.
    pub fn into_table(self, said: &Said) -> Table {
        let filled = self.entries.into_iter().map(|mut entry| {
            let price = &mut entry.known.price;
            price.as_of = said.as_of.clone();
            if price.source.is_empty() {
                price.source = said.source.clone();
            }
            entry
        });
        Table::new(said.clone(), filled)
    }
}
