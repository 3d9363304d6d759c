//! Prices files: what they take, what they say of everything else, and that what is written is read.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

use ringfence_document::render;
use ringfence_prices::{Entry, Known, Said, Table, Tokenizer, Vendor, shipped, shipped_entries};
use ringfence_types::{Money, Price, Rates, Schedule, Usage};

const WHOLE: &str = "
source: https://example.com/prices
as_of: 2026-11-21
models:
  small: { input: 0.20, output: 0.60 }
  'big/one':
    input: 1.25
    cached_input: 0.125
    cache_write: \"1.5\"
    cache_write_1h: 2.50
    output: 10
    reasoning: 12.000000001
    above:
      - { tokens: 200000, input: 2.5, output: 15, cache_write: 3, cache_write_1h: 5, reasoning: 20 }
      - { tokens: 400000, input: 5, output: 30, cache_write: 6, cache_write_1h: 10, reasoning: 40 }
    tiers:
      flex: { input: 0.6, output: 5, cache_write: 0.7, cache_write_1h: 1, reasoning: 6,
        above: [{ tokens: 200000, input: 1, output: 7, cache_write: 2, cache_write_1h: 3, reasoning: 7 }] }
    hosted: { web_search: 0.01 }
    context: 272000
    max_output: 128000
    tokenizer: o200k
    image_tokens: 1500
    dated: true
    source: a letter
    as_of: 2025-01-31
  own: free
";

const MISTAKES: &str = "
source: \"\"
as_of: yesterday
model: {}
models:
  a b: { input: 1, output: 1 }
  none: {}
  half: { input: 1 }
  odd: { input: -1, output: 1e-6, cached: 1, cached_input: free }
  steps:
    input: 1
    output: 1
    above: [{ tokens: 2, input: 1, output: 1 }, { tokens: 2, input: 1, output: 1 }, { input: 1, output: 1 }, 7]
  tiers: { input: 1, output: 1, tiers: { default: { input: 1, output: 1 }, flex: { input: 1 }, fast: 2 } }
  words: { input: 1, output: 1, tokenizer: o20k, dated: perhaps, context: 0, hosted: [web_search] }
  word: cheap
  dear: { input: 1, output: 1, cache_write: 2, above: [{ tokens: 1, input: 2, output: 2 }], tiers: { flex: { input: 1, output: 1 } } }
";

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn table(text: &str) -> Table {
    Table::parse("prices.yaml", text).unwrap_or_else(|diagnostics| {
        panic!("{}", diagnostics.iter().map(|said| render(said, text)).collect::<Vec<_>>().join("\n"))
    })
}

#[test]
fn everything_that_can_be_written_is_read() {
    let table = table(WHOLE);
    let small = table.find("small").unwrap();
    let rates = Rates {
        input: money("0.20"),
        cached_input: money("0.20"),
        cache_write: money("0.20"),
        cache_write_1h: money("0.20"),
        output: money("0.60"),
        reasoning: money("0.60"),
    };
    assert_eq!(small.known.price.standard, Schedule { base: rates, steps: Vec::new() });
    assert_eq!(small.known.price.source, "https://example.com/prices");
    let big = &table.find("big/one").unwrap().known;
    assert_eq!(big.price.standard.base.reasoning.nanos(), 12_000_000_001);
    assert_eq!(big.price.standard.base.cache_write, money("1.5"));
    assert_eq!(big.price.standard.steps.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [200_000, 400_000]);
    assert_eq!(big.price.standard.steps[0].1.cached_input, money("2.5"), "as `input` of that step");
    assert_eq!(big.price.tiers[0].1.steps[0].1.output, money("7"));
    assert_eq!(big.price.hosted, [("web_search".into(), money("0.01"))]);
    assert_eq!((big.context, big.max_output, big.image_tokens), (Some(272_000), Some(128_000), Some(1500)));
    assert_eq!(big.tokenizer, Some(Tokenizer::O200k));
    assert_eq!((big.price.source.as_str(), big.price.as_of.as_str()), ("a letter", "2025-01-31"));
    assert_eq!(table.find("own").unwrap().known.price.standard, Schedule::default());
}

#[test]
fn a_date_at_the_end_is_taken_off_only_where_the_table_says_so() {
    let table = table(WHOLE);
    assert!(table.find("big/one-2025-11-13").is_some() && table.find("big/one-20251113").is_some());
    for other in ["big/one-preview", "big/one-2025-11-13-x", "big", "big/one-", "small-2025-11-13", ""] {
        assert!(table.find(other).is_none(), "{other}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let diagnostics = Table::parse("prices.yaml", MISTAKES).unwrap_err();
    let said: Vec<String> = diagnostics.iter().map(|said| render(said, MISTAKES)).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_is_written_is_read_back() {
    let table = table(WHOLE);
    assert_eq!(Table::parse("again", &table.to_yaml()).unwrap(), table);
    insta::assert_snapshot!(table.to_yaml());
    let said = Said { source: "us".into(), as_of: "2026-11-21".into() };
    let all = Table::new(said.clone(), shipped_entries().map(|listed| listed.entry.clone()));
    assert_eq!(Table::parse("again", &all.to_yaml()).unwrap(), all);
    // Names and sources are strangers'.
    let odd = ["null", "on", "a:b", "1", "a\"b\\c", "#x", "é", "free", "-", "*a", "{", "a,b"];
    let entry = |name: &&str| Entry {
        name: (*name).into(),
        known: Known { price: Price { source: (*name).into(), ..one() }, ..Known::default() },
        dated: false,
    };
    let odd = Table::new(said, odd.iter().map(entry));
    let mut read = Table::parse("again", &odd.to_yaml()).unwrap_or_else(|_| panic!("{}", odd.to_yaml()));
    assert_eq!(read.entries().len(), odd.entries().len());
    read.said = odd.said.clone();
    for entry in odd.entries() {
        assert_eq!(
            read.find(&entry.name).map(|read| &read.known.price.source),
            Some(&entry.known.price.source)
        );
    }
}

fn one() -> Price {
    let base = Rates { input: money("1"), output: money("2"), ..Rates::default() };
    Price { standard: Schedule { base, steps: Vec::new() }, as_of: "2026-11-21".into(), ..Price::default() }
}

#[test]
fn the_models_people_use_have_a_price_and_others_have_none() {
    for (model, vendor, input) in [
        ("gpt-5.1", Vendor::OpenAi, Some("1.25")),
        ("gpt-5.1-2025-11-13", Vendor::OpenAi, Some("1.25")),
        ("gpt-4o-2024-08-06", Vendor::OpenAi, Some("2.5")),
        ("gpt-4o-2024-05-13", Vendor::OpenAi, Some("5")),
        ("claude-haiku-4-5", Vendor::Anthropic, Some("1")),
        ("claude-haiku-4-5-20251001", Vendor::Anthropic, Some("1")),
        ("gpt-5.1-turbo", Vendor::OpenAi, None),
        ("gpt-5", Vendor::Anthropic, None),
        ("claude-haiku-4-5", Vendor::OpenAi, None),
        ("GPT-5.1", Vendor::OpenAi, None),
        ("gpt-5.1-2025-11", Vendor::OpenAi, None),
    ] {
        let found = shipped(model, vendor).map(|known| known.price.standard.base.input);
        assert_eq!(found, input.map(money), "{model} of {vendor}");
    }
}

#[test]
fn no_shipped_price_is_nothing_or_out_of_order() {
    for listed in shipped_entries() {
        let (name, known) = (&listed.entry.name, &listed.entry.known);
        let price = &known.price;
        assert!(price.source.starts_with("https://") && ringfence_prices::is_day(&price.as_of), "{name}");
        // Nobody has read these addresses for the table: a list did that names them.
        assert!(price.source.ends_with(" via LiteLLM 1.109.1"), "{name}: {}", price.source);
        let schedules = price.tiers.iter().map(|(_, schedule)| schedule).chain([&price.standard]);
        for schedule in schedules {
            let base = &schedule.base;
            assert!(!base.input.is_zero() && base.cached_input <= base.input, "{name}");
            assert!(base.cache_write <= base.cache_write_1h || base.cache_write_1h == base.input, "{name}");
            assert!(name.contains("embedding") || base.output >= base.input, "{name}");
            for (_, step) in &schedule.steps {
                assert!(step.input >= base.input && step.output >= base.output, "{name}");
            }
        }
        assert!(known.context.is_some(), "{name}");
        let usage = Usage { input: 1_000_000, output: 1_000, ..Usage::default() };
        assert!(price.cost(&usage, None, &[]).unwrap() >= price.standard.base.input, "{name}");
    }
}
