//! `ringfence prices show`

use clap::Args;
use ringfence_document::nearest;
use ringfence_prices::undated;
use ringfence_types::{Rates, Schedule};

use super::book::{KINDS, Row, Which};
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Table;
use crate::show::add;

/// Show everything that is known of a model's price, and who says so
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence prices show gpt-5.1")]
pub struct Show {
    /// A provider's name, a configured one, or WORKSPACE/MODEL
    model: String,
    #[command(flatten)]
    which: Which,
}

impl Show {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let rows = self.which.rows()?;
        let mut found: Vec<&Row> = rows.iter().filter(|row| is_named(row, &self.model)).collect();
        // A date at the end of a name is taken off only where nothing has the name with it.
        if found.is_empty() {
            found = rows.iter().filter(|row| row.dated && undated(&self.model) == Some(&row.name)).collect();
        }
        if found.is_empty() {
            let near = nearest(&self.model, rows.iter().map(|row| row.name.as_str()));
            let hint = near.map_or_else(
                || "`ringfence prices list` shows the names; an unpriced model is refused".to_owned(),
                |near| format!("did you mean `{}`?", crate::safe(near)),
            );
            return Err(
                Failure::no(format!("no price is known for `{}`", crate::safe(&self.model))).hint(hint)
            );
        }
        let output = global.output();
        if output.is_json() {
            return found.iter().try_for_each(|row| output.document(&row.document()));
        }
        let texts: Vec<String> = found.iter().map(|row| render(row, output.colour())).collect();
        output.text(&texts.join("\n"))
    }
}

fn is_named(row: &Row, wanted: &str) -> bool {
    let own = row.name.split_once('/').filter(|_| row.model.is_some()).map(|(_, model)| model);
    row.name == wanted || own == Some(wanted)
}

fn render(row: &Row, colour: bool) -> String {
    let (known, price) = (&row.known, &row.known.price);
    let mut text = format!("{}\n", crate::safe(&row.name));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            add(&mut text, format_args!("  {name:<13} {}\n", crate::safe(&value)));
        }
    };
    line("model", row.model.clone());
    line("from", Some(row.from.clone()));
    line("source", Some(price.source.to_string()));
    line("as of", Some(price.as_of.to_string()).filter(|day| !day.is_empty()));
    line("reads", known.context.map(|tokens| format!("{tokens} tokens at most")));
    line("writes", known.max_output.map(|tokens| format!("{tokens} tokens at most")));
    line("tokenizer", known.tokenizer.map(|tokenizer| tokenizer.to_string()));
    line("an image is", known.image_tokens.map(|tokens| format!("{tokens} tokens at most")));
    line("names", row.dated.then(|| "also with a date at the end".to_owned()));
    for (tool, price) in &price.hosted {
        line("hosted", Some(format!("{tool}: {price} dollars a use")));
    }
    text.push_str("\nUS dollars for a million tokens:\n");
    text.push_str(&table(row).render(colour));
    text
}

fn table(row: &Row) -> Table {
    let [input, cached, write, hour, output, reasoning] = KINDS.map(|(_, heading, _)| heading);
    let mut table = Table::new(["tier", "call reads", input, cached, write, hour, output, reasoning]);
    let mut add = |tier: &str, schedule: &Schedule| {
        let first = std::iter::once(("any".to_owned(), &schedule.base));
        let steps = schedule.steps.iter().map(|(tokens, rates)| (format!("over {tokens}"), rates));
        for (reads, rates) in first.chain(steps) {
            table.row(cells(tier, reads, rates));
        }
    };
    let price = &row.known.price;
    add("standard", &price.standard);
    for (tier, schedule) in &price.tiers {
        add(&crate::safe(tier), schedule);
    }
    table
}

fn cells(tier: &str, reads: String, rates: &Rates) -> [String; 8] {
    let [input, cached, write, hour, output, reasoning] = KINDS.map(|(_, _, kind)| kind(rates).to_string());
    [tier.to_owned(), reads, input, cached, write, hour, output, reasoning]
}
