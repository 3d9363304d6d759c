//! `ringfence prices import`

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_policy::Glob;
use ringfence_prices::{Imported, Remark, Said, import_litellm, is_day};
use ringfence_types::Timestamp;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Output, Table};

/// The longest list that is read, in bytes. The published one has 3 MB.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Who says what a price is where an entry names nobody.
const SOURCE: &str = "LiteLLM (model_prices_and_context_window.json)";

/// How many models are named for each reason.
const EXAMPLES_SHOWN: usize = 3;

/// Take in LiteLLM's public price list
///
/// Reads `model_prices_and_context_window.json`, as LiteLLM publishes it, and writes a file for `prices:` in
/// ringfence.yaml. What cannot be said exactly as a price of tokens is skipped and named, never guessed.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ringfence prices import model_prices_and_context_window.json -o prices.yaml"
)]
pub struct Import {
    /// LiteLLM's list; - for standard input
    file: String,
    /// Where to write; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "prices.yaml")]
    output: String,
    /// Write over what is there
    #[arg(long)]
    force: bool,
    /// Only models whose name fits: * and ?
    #[arg(long, value_name = "GLOB")]
    model: Option<String>,
    /// The day on which the list was right, such as 2026-11-21 [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    as_of: Option<String>,
}

fn day(text: &str) -> Result<String, String> {
    if is_day(text) { Ok(text.to_owned()) } else { Err("not a day, such as 2026-11-21".to_owned()) }
}

impl Import {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let bytes = read(&self.file)?;
        let imported = import_litellm(&bytes).map_err(|error| {
            Failure::usage(format!("`{}`: {error}", crate::safe(&self.file)))
                .hint("LiteLLM publishes it as model_prices_and_context_window.json")
        })?;
        let imported = match self.model.as_deref().map(Glob::new) {
            Some(glob) => only(imported, &glob),
            None => imported,
        };
        if imported.entries.is_empty() {
            return Err(Failure::no("no model of that list has a price here; nothing was written"));
        }
        let told = Told::of(&imported);
        let said = Said { source: SOURCE.into(), as_of: self.as_of.unwrap_or_else(today).into() };
        let text = imported.into_table(&said).to_yaml();
        let output = global.output();
        if self.output == "-" {
            return output.text(&text);
        }
        write(Path::new(&self.output), &text, self.force)?;
        if output.is_json() {
            output.document(&told.document(&self.output))
        } else {
            told.render(&self.output, output)
        }
    }
}

fn only(imported: Imported, glob: &Glob) -> Imported {
    let Imported { mut entries, mut skipped, mut remarks } = imported;
    entries.retain(|entry| glob.matches(&entry.name));
    skipped.retain(|skipped| glob.matches(&skipped.name));
    remarks.retain(|remark| match remark {
        Remark::Rounded { name, .. } | Remark::LeftOut { name, .. } => glob.matches(name),
    });
    Imported { entries, skipped, remarks }
}

fn read(given: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = if given == "-" {
        std::io::stdin().lock().take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(given).and_then(|file| file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    done.map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", crate::safe(given))))?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(Failure::usage(format!("the list is longer than {LIST_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Writes a file that is not there, or, if that is wanted, instead of one that is: a node that looks at it sees the old
/// or the new, nothing between.
fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let shown = crate::safe(&path.display().to_string());
    if !force && path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{shown} is there already"))
            .hint("-o FILE names another, --force writes over it; nothing was written"));
    }
    let beside = PathBuf::from(format!("{}.{}.new", path.display(), std::process::id()));
    let create = std::fs::OpenOptions::new().write(true).create_new(true).open(&beside);
    let done = create
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    done.map_err(|error| {
        // It may not even have been made.
        let _ = std::fs::remove_file(&beside);
        Failure::usage(format!("cannot write {shown}: {error}"))
    })
}

/// The day, as `2026-11-21`.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX)).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

/// What an import comes to.
struct Told {
    models: usize,
    skipped: Vec<(String, String)>,
    rounded: Vec<(String, String)>,
    left_out: Vec<(String, String)>,
}

// === impl Told ===

impl Told {
    fn of(imported: &Imported) -> Self {
        let skipped = imported.skipped.iter();
        let skipped = skipped.map(|skipped| (skipped.name.to_string(), skipped.reason.clone())).collect();
        let (mut rounded, mut left_out) = (Vec::new(), Vec::new());
        for remark in &imported.remarks {
            match remark {
                Remark::Rounded { name, key } => rounded.push((name.to_string(), key.to_string())),
                Remark::LeftOut { name, key } => left_out.push((name.to_string(), key.to_string())),
            }
        }
        Self { models: imported.entries.len(), skipped, rounded, left_out }
    }

    fn document(&self, written: &str) -> Value {
        let list = |pairs: &[(String, String)], second: &str| {
            let one = |(name, what): &(String, String)| {
                Value::from(Object::new().with("model", name.as_str()).with(second.to_owned(), what.as_str()))
            };
            Value::Array(pairs.iter().map(one).collect())
        };
        Object::new()
            .with("written", written)
            .with("models", u64::try_from(self.models).unwrap_or(u64::MAX))
            .with("skipped", list(&self.skipped, "reason"))
            .with("rounded", list(&self.rounded, "price"))
            .with("left_out", list(&self.left_out, "price"))
            .into()
    }

    fn render(&self, written: &str, output: Output) -> Result<(), Failure> {
        output.line(&format!(
            "wrote {}: {} models; {} skipped, {} prices rounded up, {} left out",
            crate::safe(written),
            self.models,
            self.skipped.len(),
            self.rounded.len(),
            self.left_out.len()
        ))?;
        let mut table = Table::new(["models", "why", "such as"]);
        rows(&mut table, &self.skipped, |reason| format!("skipped: {reason}"));
        rows(&mut table, &self.rounded, |price| format!("rounded up: `{price}`"));
        rows(&mut table, &self.left_out, |price| format!("left out: `{price}`, which no call here asks for"));
        if !table.is_empty() {
            output.text(&format!("\n{}", table.render(output.colour())))?;
        }
        output.line(&format!("\nnext: `prices: [{}]` in ringfence.yaml", crate::safe(written)))
    }
}

/// One row for each reason, the most frequent first.
fn rows(table: &mut Table, pairs: &[(String, String)], say: impl Fn(&str) -> String) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, reason) in pairs {
        reasons.entry(reason).or_default().push(name);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (reason, names) in reasons {
        let examples: Vec<String> = names.iter().take(EXAMPLES_SHOWN).map(|name| crate::safe(name)).collect();
        table.row([names.len().to_string(), crate::safe(&say(reason)), examples.join(", ")]);
    }
}
