//! A price as people write it.

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_types::{Money, Price, Rates, Schedule};
use smol_str::SmolStr;

/// Steps of one schedule, at most.
const STEPS_MAX: usize = 16;

/// Service tiers, and hosted tools, of one model at most.
const NAMED_MAX: usize = 32;

/// The most tokens that a step can begin at.
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// A price as it is written.
const SHAPE: &str = "price: { input: 1.25, output: 10.00 }";

/// What providers call the service tier that a price without `tiers` is for.
const USUAL_TIERS: [&str; 4] = ["default", "standard", "auto", "standard_only"];

/// Who says what something costs, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// An address, or the name of a file.
    pub source: SmolStr,
    /// The day, as `2026-11-21`; empty where a person wrote the price down himself.
    pub as_of: SmolStr,
}

/// Reads `free` or a mapping with `input`, `output`, `cached_input`, `cache_write`, `cache_write_1h`, `reasoning`,
/// `above`, `tiers` and `hosted`: US dollars for a million tokens.
pub fn read_price(node: &Node, said: &Said, report: &mut Report) -> Option<Price> {
    if is_free(node) {
        return Some(free(said));
    }
    if node.as_mapping().is_none() {
        report.error_with_hint(
            node.place,
            format!("a price must be `free` or a mapping, not {}", node.kind()),
            format!("write `{SHAPE}`, in US dollars for a million tokens"),
        );
        return None;
    }
    let mut fields = Fields::shaped(node, "a price", SHAPE, report)?;
    let price = price_in(&mut fields, said, report);
    fields.finish(report);
    price
}

/// Whether it is the word `free`.
pub(crate) fn is_free(node: &Node) -> bool {
    node.as_scalar().is_some_and(|scalar| scalar.text == "free")
}

pub(crate) fn free(said: &Said) -> Price {
    Price { as_of: said.as_of.clone(), ..Price::free(&said.source) }
}

/// The price among the fields of something larger.
pub(crate) fn price_in(fields: &mut Fields<'_>, said: &Said, report: &mut Report) -> Option<Price> {
    let standard = schedule(fields, None, report);
    let first = standard.as_ref().map(|schedule| &schedule.base);
    let tiers = fields.get("tiers").map(|node| tiers(node, first, report)).unwrap_or_default();
    let hosted = fields.get("hosted").map(|node| hosted(node, report)).unwrap_or_default();
    Some(Price { standard: standard?, tiers, hosted, source: said.source.clone(), as_of: said.as_of.clone() })
}

/// The prices of one tier; `usual` are those of the usual one, if this is another.
fn schedule(fields: &mut Fields<'_>, usual: Option<&Rates>, report: &mut Report) -> Option<Schedule> {
    let base = rates(fields, usual, report);
    let steps = fields.get("above").map(|node| steps(node, usual.or(base.as_ref()), report));
    Some(Schedule { base: base?, steps: steps.unwrap_or_default() })
}

/// The kinds of tokens. What is read costs as `input` unless something else is written, reasoning as `output`. Where
/// the model's first prices say that a kind is dearer than that, all others have to say what it costs.
fn rates(fields: &mut Fields<'_>, first: Option<&Rates>, report: &mut Report) -> Option<Rates> {
    let input = fields.require("input", report).map(|node| money(node, "`input`", report));
    let output = fields.require("output", report).map(|node| money(node, "`output`", report));
    let mut kind = |key: &'static str, what: &str| fields.get(key).map(|node| money(node, what, report));
    let cached_input = kind("cached_input", "`cached_input`");
    let cache_write = kind("cache_write", "`cache_write`");
    let cache_write_1h = kind("cache_write_1h", "`cache_write_1h`");
    let reasoning = kind("reasoning", "`reasoning`");
    if let Some(first) = first {
        for (key, kind, unwritten, written) in [
            ("cache_write", first.cache_write, first.input, cache_write.is_some()),
            ("cache_write_1h", first.cache_write_1h, first.input, cache_write_1h.is_some()),
            ("reasoning", first.reasoning, first.output, reasoning.is_some()),
        ] {
            if kind > unwritten && !written {
                fields.require(key, report);
            }
        }
    }
    let (input, output) = (input??, output??);
    let or = |kind: Option<Option<Money>>, other| kind.map_or(Some(other), |written| written);
    Some(Rates {
        input,
        cached_input: or(cached_input, input)?,
        cache_write: or(cache_write, input)?,
        cache_write_1h: or(cache_write_1h, input)?,
        output,
        reasoning: or(reasoning, output)?,
    })
}

fn money(node: &Node, what: &str, report: &mut Report) -> Option<Money> {
    node.parsed(what, str::parse, report)
}

fn steps(node: &Node, first: Option<&Rates>, report: &mut Report) -> Vec<(u64, Rates)> {
    let elements = node.list("`above`", report).unwrap_or_default();
    if elements.len() > STEPS_MAX {
        report.error(node.place, format!("`above` can have at most {STEPS_MAX} steps"));
        return Vec::new();
    }
    let mut steps: Vec<(u64, Rates)> = Vec::new();
    for element in elements {
        let Some(mut fields) = Fields::of(element, "a step of `above`", report) else { continue };
        let tokens = fields.require("tokens", report);
        let tokens = tokens.and_then(|node| node.whole("`tokens`", 1..=TOKENS_MAX, report));
        let rates = rates(&mut fields, first, report);
        fields.finish(report);
        let (Some(tokens), Some(rates)) = (tokens, rates) else { continue };
        if steps.last().is_some_and(|(last, _)| *last >= tokens) {
            report.error(element.place, "the steps of `above` must rise from one to the next");
        } else {
            steps.push((tokens, rates));
        }
    }
    steps
}

fn tiers(node: &Node, first: Option<&Rates>, report: &mut Report) -> Vec<(SmolStr, Schedule)> {
    let mut tiers = Vec::new();
    for (name, node) in named(node, "`tiers`", report) {
        if USUAL_TIERS.contains(&name.text.as_str()) {
            let message = format!("`{}` is the tier that the price outside of `tiers` is for", name.text);
            report.error(name.place, message);
            continue;
        }
        let Some(mut fields) = Fields::of(node, "a service tier", report) else { continue };
        tiers.extend(schedule(&mut fields, first, report).map(|schedule| (name.text.clone(), schedule)));
        fields.finish(report);
    }
    tiers
}

fn hosted(node: &Node, report: &mut Report) -> Vec<(SmolStr, Money)> {
    let members = named(node, "`hosted`", report);
    let read = |(name, node): &(Key, Node)| {
        money(node, "the price of one use", report).map(|price| (name.text.clone(), price))
    };
    members.iter().filter_map(read).collect()
}

/// The members of a mapping of bounded size.
fn named<'n>(node: &'n Node, what: &str, report: &mut Report) -> &'n [(Key, Node)] {
    match node.as_mapping() {
        Some(members) if members.len() <= NAMED_MAX => members,
        Some(_) => {
            report.error(node.place, format!("{what} can have at most {NAMED_MAX} members"));
            &[]
        }
        None => {
            report.error(node.place, format!("{what} must be a mapping, not {}", node.kind()));
            &[]
        }
    }
}
