//! What things cost, the long way.

use crate::told::Tokens;
use crate::world::{Call, Model, Rates, Steps};

const USUAL: [&str; 4] = ["default", "standard", "auto", "standard_only"];

/// The steps of a service tier; `None` where it has no price.
fn tier(model: &Model, name: Option<&str>) -> Option<Steps> {
    let name = name.filter(|name| !USUAL.contains(name)).unwrap_or("");
    model.tiers.iter().find(|(known, _)| *known == name).map(|(_, steps)| *steps)
}

/// Nano-dollars, rounded up.
fn nanos(millionths: u128) -> u128 {
    millionths.div_ceil(1_000_000)
}

fn tokens(rates: &Rates, tokens: &Tokens) -> u128 {
    (0..6).map(|kind| u128::from(rates[kind]) * u128::from(tokens[kind])).sum()
}

pub fn read(tokens: &Tokens) -> u128 {
    tokens[..4].iter().map(|count| u128::from(*count)).sum()
}

pub fn all(tokens: &Tokens) -> u128 {
    tokens.iter().map(|count| u128::from(*count)).sum()
}

/// A whole call costs what the highest step says that it is above.
fn at_step(steps: Steps, tokens: &Tokens) -> Rates {
    let mut found = steps[0].1;
    for (above, rates) in steps {
        if *above > 0 && read(tokens) > u128::from(*above) {
            found = *rates;
        }
    }
    found
}

/// What these tokens and searches cost at that tier; `None` where something of it has no price.
pub fn cost(model: &Model, used: &Tokens, tier_name: Option<&str>, searches: u64) -> Option<u128> {
    let steps = tier(model, tier_name)?;
    let searched = if searches == 0 { 0 } else { u128::from(model.search?) * u128::from(searches) };
    Some(nanos(tokens(&at_step(steps, used), used)) + searched)
}

/// The same at the dearest tier there is, without searches.
pub fn dearest(model: &Model, used: &Tokens) -> u128 {
    model.tiers.iter().map(|(_, steps)| nanos(tokens(&at_step(steps, used), used))).max().unwrap()
}

/// The most that a call may cost which writes so many tokens in all: each token at the dearest that it may become, at
/// the tier that is asked for or at the usual one, at any step that it may be above.
pub fn worst(model: &Model, call: Call, written: u128) -> Option<u128> {
    let (mut input, mut output) = (0, 0);
    for steps in [tier(model, call.tier)?, tier(model, None)?] {
        for (above, rates) in steps {
            if *above == 0 || call.input > *above {
                for rate in &rates[..2 + usize::from(call.cache)] {
                    input = input.max(*rate);
                }
                output = output.max(rates[4]).max(rates[5]);
            }
        }
    }
    let searched = if call.searches == 0 { 0 } else { u128::from(model.search?) * u128::from(call.searches) };
    Some(nanos(u128::from(call.input) * u128::from(input) + written * u128::from(output)) + searched)
}
