//! What holds of every table of prices that is taken: LiteLLM's, and our own.

use ringfence_document::{Diagnostic, render};
use ringfence_prices::{Said, Table, import_litellm};
use ringfence_types::{CacheWrite, Price, Usage, Worst};

/// Reads the bytes as a list of LiteLLM's if they are JSON, and as a prices file if not; returns whether they are one.
pub fn check(data: &[u8]) -> bool {
    if data.trim_ascii_start().starts_with(b"{") {
        return imported(data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return false };
    match Table::parse("prices.yaml", text) {
        Ok(table) => {
            is_written_as_it_is(&table);
            !table.entries().is_empty()
        }
        Err(errors) => {
            assert!(errors.iter().any(Diagnostic::is_error), "refused without an error");
            for error in &errors {
                let shown = render(error, text);
                let is_plain = |c: char| c == '\n' || !c.is_control();
                assert!(shown.chars().all(is_plain), "an error steers a terminal: {shown:?}");
            }
            false
        }
    }
}

fn imported(data: &[u8]) -> bool {
    let Ok(imported) = import_litellm(data) else { return false };
    for skipped in &imported.skipped {
        assert!(!skipped.reason.is_empty(), "skipped for no reason");
    }
    let said = Said { source: "https://example.com/list.json".into(), as_of: "2026-11-21".into() };
    let table = imported.into_table(&said);
    is_written_as_it_is(&table);
    !table.entries().is_empty()
}

fn is_written_as_it_is(table: &Table) {
    let text = table.to_yaml();
    let again = Table::parse("again.yaml", &text);
    let again = again.unwrap_or_else(|errors| panic!("what was written is refused: {errors:?}\n{text}"));
    assert!(again == *table, "what was written says something else:\n{text}");
    for entry in table.entries() {
        assert!(table.find(&entry.name).is_some_and(|found| found.name == entry.name));
        costs_no_more_than_the_worst(&entry.known.price);
    }
}

/// Whatever a price says, what was set aside covers what it can come to.
fn costs_no_more_than_the_worst(price: &Price) {
    let tiers = price.tiers.iter().map(|(name, _)| Some(name.clone())).chain([None]);
    for tier in tiers {
        for (input, output) in [(0, 0), (1, 1), (1_000, 500), (200_001, 4_000), (900_000, 1)] {
            let hosted = price.hosted.iter().map(|(name, _)| (name.clone(), 2)).collect::<Vec<_>>();
            let writes_cache = CacheWrite::Hour;
            let worst = Worst { input, output, writes_cache, tier: tier.clone(), hosted: hosted.clone() };
            let most = price.worst(&worst).expect("the tier is there");
            let half = input / 2;
            let usages = [
                Usage { input, output, ..Usage::default() },
                Usage { cached_input: input, reasoning: output, ..Usage::default() },
                Usage { cache_write: half, cache_write_1h: input - half, output, ..Usage::default() },
            ];
            for usage in usages {
                for served in [tier.as_deref(), None] {
                    let cost = price.cost(&usage, served, &hosted).expect("the tier is there");
                    assert!(cost <= most, "costs more than was set aside: {usage:?} {worst:?}");
                }
            }
            let fits = price.output_within(&worst, most).expect("the tier is there");
            assert!(fits.is_some_and(|fits| fits >= output), "what fits does not fit");
        }
    }
}
