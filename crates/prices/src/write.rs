//! A table as a prices file.

use std::fmt::Write as _;

use ringfence_types::{Money, Price, Rates, Schedule};

use crate::{Entry, Table};

/// What stands at the head of a file that was written.
const HEAD: &str = "\
# Prices of models, in US dollars for a million tokens. `prices: [FILE]` in ringfence.yaml takes them in; what a model
# says there itself counts before this, and this before the table that ships.
";

// === impl Table ===

impl Table {
    /// The file that [`Table::parse`] reads back as the same.
    pub fn to_yaml(&self) -> String {
        let mut text = String::from(HEAD);
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "source: {}\nas_of: {}\nmodels:",
            quoted(&self.said.source),
            quoted(&self.said.as_of)
        );
        if self.entries().is_empty() {
            text.push_str(" {}");
        }
        text.push('\n');
        for entry in self.entries() {
            let _ = writeln!(text, "  {}: {}", quoted(&entry.name), self.entry(entry));
        }
        text
    }

    /// One model on one line.
    fn entry(&self, entry: &Entry) -> String {
        let price = &entry.known.price;
        let mut members = price_members(price);
        let mut add = |name: &str, value: Option<String>| {
            members.extend(value.map(|value| format!("{name}: {value}")));
        };
        add("context", entry.known.context.map(|tokens| tokens.to_string()));
        add("max_output", entry.known.max_output.map(|tokens| tokens.to_string()));
        add("tokenizer", entry.known.tokenizer.map(|tokenizer| tokenizer.to_string()));
        add("image_tokens", entry.known.image_tokens.map(|tokens| tokens.to_string()));
        add("dated", entry.dated.then(|| "true".to_owned()));
        add("source", (price.source != self.said.source).then(|| quoted(&price.source)));
        add("as_of", (price.as_of != self.said.as_of).then(|| quoted(&price.as_of)));
        braced(&members)
    }
}

fn price_members(price: &Price) -> Vec<String> {
    let first = &price.standard.base;
    let mut members = schedule_members(&price.standard, first);
    if !price.tiers.is_empty() {
        let tiers = price.tiers.iter();
        let tiers: Vec<String> = tiers
            .map(|(name, schedule)| {
                format!("{}: {}", quoted(name), braced(&schedule_members(schedule, first)))
            })
            .collect();
        members.push(format!("tiers: {}", braced(&tiers)));
    }
    if !price.hosted.is_empty() {
        let hosted = price.hosted.iter();
        let hosted: Vec<String> = hosted.map(|(name, price)| format!("{}: {price}", quoted(name))).collect();
        members.push(format!("hosted: {}", braced(&hosted)));
    }
    members
}

fn schedule_members(schedule: &Schedule, first: &Rates) -> Vec<String> {
    let mut members = rates_members(&schedule.base, first);
    if !schedule.steps.is_empty() {
        let step = |(tokens, rates): &(u64, Rates)| {
            let mut members = vec![format!("tokens: {tokens}")];
            members.append(&mut rates_members(rates, first));
            braced(&members)
        };
        let steps: Vec<String> = schedule.steps.iter().map(step).collect();
        members.push(format!("above: [{}]", steps.join(", ")));
    }
    members
}

/// What is not as it would be without being written, or has to be written because it is in the model's first prices.
fn rates_members(rates: &Rates, first: &Rates) -> Vec<String> {
    let mut members = vec![format!("input: {}", rates.input), format!("output: {}", rates.output)];
    let mut add = |name: &str, kind: fn(&Rates) -> (Money, Money)| {
        let (price, unwritten) = kind(rates);
        let (first, first_unwritten) = kind(first);
        if price != unwritten || first > first_unwritten {
            members.push(format!("{name}: {price}"));
        }
    };
    add("cached_input", |rates| (rates.cached_input, rates.input));
    add("cache_write", |rates| (rates.cache_write, rates.input));
    add("cache_write_1h", |rates| (rates.cache_write_1h, rates.input));
    add("reasoning", |rates| (rates.reasoning, rates.output));
    members
}

fn braced(members: &[String]) -> String {
    format!("{{ {} }}", members.join(", "))
}

/// A text as YAML takes it: plain where nothing in it could mean something else.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && !matches!(text, "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "free" | "y" | "n");
    if is_plain {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
