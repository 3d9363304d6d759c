//! A prices file.

use std::collections::HashMap;

use ringfence_document::{Diagnostic, Fields, Key, Node, Report};
use smol_str::SmolStr;

use crate::rates::{free, is_free, price_in};
use crate::{Known, Said, Tokenizer, name};

/// The longest source, in bytes.
const SOURCE_BYTES_MAX: usize = 512;

/// The most tokens a context can have.
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// Models and what is known of them, as a prices file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Who says so, where an entry says nothing else.
    pub said: Said,
    /// In the order of the file; no name twice.
    entries: Vec<Entry>,
    /// Where each stands.
    index: HashMap<SmolStr, usize>,
}

/// One model of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As its provider calls it.
    pub name: SmolStr,
    /// What is known.
    pub known: Known,
    /// Whether the name with a date at its end is the same model at the same price.
    pub dated: bool,
}

/// Whether a text is a day, such as `2026-11-21`.
pub fn is_day(text: &str) -> bool {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let all = year.zip(month).zip(day).is_some_and(|((year, month), day)| name::is_date(year, month, day));
    all && parts.next().is_none()
}

// === impl Table ===

impl Table {
    /// Of these entries; of two with one name the first counts.
    pub fn new(said: Said, all: impl IntoIterator<Item = Entry>) -> Self {
        let mut table = Self { said, ..Self::default() };
        for entry in all {
            if !table.index.contains_key(&entry.name) {
                table.index.insert(entry.name.clone(), table.entries.len());
                table.entries.push(entry);
            }
        }
        table
    }

    /// Reads a prices file; `source` is its name in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let root = ringfence_document::parse(source, text)?;
        let mut report = Report::new(source);
        let table = file(&root, &mut report);
        match table {
            Some(table) if report.errors() == 0 => Ok(table),
            _ => Err(report.into_diagnostics()),
        }
    }

    /// The models, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is known of a model: by exactly this name, or by this name without a date at its end where the table says
    /// that such are the same.
    pub fn find(&self, model: &str) -> Option<&Entry> {
        let exact = |name: &str| self.index.get(name).and_then(|at| self.entries.get(*at));
        exact(model).or_else(|| exact(name::undated(model)?).filter(|entry| entry.dated))
    }
}

fn file(root: &Node, report: &mut Report) -> Option<Table> {
    if root.is_null() {
        report.error_with_hint(root.place, "the file is empty", "`ringfence prices import` writes one");
        return None;
    }
    let mut fields = Fields::of(root, "a prices file", report)?;
    let source = fields.require("source", report).and_then(|node| source(node, report));
    let as_of = fields.require("as_of", report).and_then(|node| day(node, report));
    let models = fields.require("models", report);
    fields.finish(report);
    // What is wrong above must not hide what is wrong below.
    let said = Said { source: source.unwrap_or_default(), as_of: as_of.unwrap_or_default() };
    let models = models?;
    let Some(members) = models.as_mapping() else {
        report.error(models.place, format!("`models` must be a mapping, not {}", models.kind()));
        return None;
    };
    let entries: Vec<Entry> =
        members.iter().filter_map(|(key, node)| entry(key, node, &said, report)).collect();
    Some(Table::new(said, entries))
}

fn source(node: &Node, report: &mut Report) -> Option<SmolStr> {
    let text = node.text("`source`", report)?;
    if text.len() > SOURCE_BYTES_MAX || text.chars().any(char::is_control) {
        report.error(node.place, format!("`source` must be one line of at most {SOURCE_BYTES_MAX} bytes"));
        return None;
    }
    Some(text.clone())
}

fn day(node: &Node, report: &mut Report) -> Option<SmolStr> {
    let text = node.text("`as_of`", report)?;
    if !is_day(text) {
        report.error(node.place, "`as_of` must be a day, such as 2026-11-21");
        return None;
    }
    Some(text.clone())
}

fn entry(key: &Key, node: &Node, said: &Said, report: &mut Report) -> Option<Entry> {
    if !name::fits(&key.text) {
        let most = name::NAME_BYTES_MAX;
        report.error(key.place, format!("a model's name is one word of at most {most} bytes"));
        return None;
    }
    if is_free(node) {
        let known = Known { price: free(said), ..Known::default() };
        return Some(Entry { name: key.text.clone(), known, dated: false });
    }
    let mut fields = Fields::of(node, "a model's price", report)?;
    let own_source = fields.get("source").map(|node| source(node, report));
    let own_day = fields.get("as_of").map(|node| day(node, report));
    let said = Said {
        source: own_source.unwrap_or(Some(said.source.clone())).unwrap_or_default(),
        as_of: own_day.unwrap_or(Some(said.as_of.clone())).unwrap_or_default(),
    };
    let price = price_in(&mut fields, &said, report);
    let mut tokens = |key: &'static str| {
        let what = format!("`{key}`");
        fields.get(key).and_then(|node| node.whole(&what, 1..=TOKENS_MAX, report))
    };
    let (context, max_output) = (tokens("context"), tokens("max_output"));
    let image_tokens = tokens("image_tokens");
    let tokenizer = fields.get("tokenizer");
    let tokenizer = tokenizer.and_then(|node| node.word("`tokenizer`", &Tokenizer::WORDS, report));
    let dated = fields.get("dated").and_then(|node| node.boolean("`dated`", report)).unwrap_or(false);
    fields.finish(report);
    let known = Known { price: price?, context, max_output, tokenizer, image_tokens };
    Some(Entry { name: key.text.clone(), known, dated })
}
