//! All prices that there are: of configured models, of files with prices, of the table that ships.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;
use ringfence_control::config::{Config, load};
use ringfence_json::{Number, Object, Value};
use ringfence_prices::{Known, shipped_entries};
use ringfence_types::{Money, Price, Rates, Schedule};

use crate::command::check::{CONFIGURATION, eprint_text, report};
use crate::failure::{Exit, Failure};

/// Which configuration.
#[derive(Debug, Args)]
pub struct Which {
    /// The configuration whose models and prices count [default: ringfence.yaml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// One price.
#[derive(Debug)]
pub struct Row {
    /// `workspace/model` as configured, or the provider's name.
    pub name: String,
    /// The provider's name, of a configured model.
    pub model: Option<String>,
    /// Where it is said: `configured`, a file, or `shipped: VENDOR`.
    pub from: String,
    /// What is known.
    pub known: Known,
    /// Whether the name with a date at its end is the same model.
    pub dated: bool,
}

// === impl Which ===

impl Which {
    /// All prices: those of configured models first, each later one only where none before it has its name.
    ///
    /// # Errors
    /// When the configuration that was named cannot be used; what is wrong with it is printed.
    pub fn rows(&self) -> Result<Vec<Row>, Failure> {
        let config = self.configuration()?;
        let mut rows = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        if let Some(config) = &config {
            rows.extend(configured(config));
            for file in &config.prices {
                let new = file.table.entries().iter().filter(|entry| seen.insert(entry.name.to_string()));
                rows.extend(new.map(|entry| Row {
                    name: entry.name.to_string(),
                    model: None,
                    from: file.shown.to_string(),
                    known: entry.known.clone(),
                    dated: entry.dated,
                }));
            }
        }
        let shipped = shipped_entries().filter(|listed| !seen.contains(listed.entry.name.as_str()));
        rows.extend(shipped.map(|listed| Row {
            name: listed.entry.name.to_string(),
            model: None,
            from: format!("shipped: {}", listed.vendor),
            known: listed.entry.known.clone(),
            dated: listed.entry.dated,
        }));
        Ok(rows)
    }

    /// The configuration, if one was named or there is one here.
    fn configuration(&self) -> Result<Option<Config>, Failure> {
        let path = self.config.as_deref().unwrap_or(Path::new(CONFIGURATION));
        if self.config.is_none() && !path.exists() {
            return Ok(None);
        }
        match load(path) {
            Ok(loaded) => Ok(Some(loaded.config)),
            Err(rejected) if self.config.is_some() => {
                eprint_text(&report(&rejected));
                Err(Failure::said(Exit::Usage))
            }
            Err(rejected) => {
                let said = format!(
                    "warning: {rejected}\n  hint: only prices that ship are shown; `ringfence check`\n"
                );
                eprint_text(&said);
                Ok(None)
            }
        }
    }
}

fn configured(config: &Config) -> impl Iterator<Item = Row> {
    let models = config
        .workspaces
        .iter()
        .flat_map(|workspace| workspace.models.iter().map(move |model| (workspace, model)));
    models.filter_map(|(workspace, model)| {
        let served = model.served.as_deref()?;
        let known = Known {
            price: served.price.clone(),
            context: served.context,
            max_output: served.output_most,
            tokenizer: Some(served.tokenizer),
            image_tokens: served.image_tokens,
        };
        Some(Row {
            name: format!("{}/{}", workspace.name, model.name),
            model: Some(served.model.to_string()),
            from: "configured".to_owned(),
            known,
            dated: false,
        })
    })
}

// === impl Row ===

impl Row {
    /// For programs.
    pub fn document(&self) -> Value {
        let known = &self.known;
        Object::new()
            .with("name", self.name.as_str())
            .with_some("model", self.model.as_deref())
            .with("from", self.from.as_str())
            .with("source", known.price.source.as_str())
            .with_some("as_of", Some(known.price.as_of.as_str()).filter(|day| !day.is_empty()))
            .with("price", price(&known.price))
            .with_some("context", known.context)
            .with_some("max_output", known.max_output)
            .with_some("tokenizer", known.tokenizer.map(ringfence_prices::Tokenizer::as_str))
            .with_some("image_tokens", known.image_tokens)
            .into()
    }
}

/// As it would be written into a file with prices.
fn price(price: &Price) -> Object {
    let mut object = schedule(&price.standard);
    if !price.tiers.is_empty() {
        let tiers = price.tiers.iter();
        let tiers = tiers.fold(Object::new(), |all, (name, tier)| all.with(name.clone(), schedule(tier)));
        object.insert("tiers", tiers);
    }
    if !price.hosted.is_empty() {
        let hosted = price.hosted.iter();
        let hosted = hosted.fold(Object::new(), |all, (name, price)| all.with(name.clone(), decimal(*price)));
        object.insert("hosted", hosted);
    }
    object
}

fn schedule(schedule: &Schedule) -> Object {
    let mut object = rates(Object::new(), &schedule.base);
    if !schedule.steps.is_empty() {
        let step =
            |(tokens, step): &(u64, Rates)| Value::from(rates(Object::new().with("tokens", *tokens), step));
        object.insert("above", Value::Array(schedule.steps.iter().map(step).collect()));
    }
    object
}

fn rates(object: Object, rates: &Rates) -> Object {
    KINDS.iter().fold(object, |object, (name, _, kind)| object.with(*name, decimal(kind(rates))))
}

/// A kind of token: its key, how people read it, and its price.
pub type Kind = (&'static str, &'static str, fn(&Rates) -> Money);

/// The kinds of tokens.
pub const KINDS: [Kind; 6] = [
    ("input", "input", |rates| rates.input),
    ("cached_input", "cached", |rates| rates.cached_input),
    ("cache_write", "cache write", |rates| rates.cache_write),
    ("cache_write_1h", "write 1h", |rates| rates.cache_write_1h),
    ("output", "output", |rates| rates.output),
    ("reasoning", "reasoning", |rates| rates.reasoning),
];

/// An amount of dollars, exactly.
fn decimal(money: Money) -> Value {
    let text = money.to_string();
    Number::new(&text).map_or_else(|_| text.clone().into(), Value::Number)
}
