//! What tokens cost.

use smol_str::SmolStr;

use crate::{Money, Usage};

/// Tokens that a price is for.
const PER: u128 = 1_000_000;

/// Prices of each kind of token, each for a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Read, uncached.
    pub input: Money,
    /// Read from the provider's cache.
    pub cached_input: Money,
    /// Written into the provider's cache for a short time.
    pub cache_write: Money,
    /// Written into the provider's cache for an hour.
    pub cache_write_1h: Money,
    /// Written.
    pub output: Money,
    /// Written while thinking.
    pub reasoning: Money,
}

/// The prices of one service tier, by how much is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// From the first token.
    pub base: Rates,
    /// For a whole call that reads more tokens than this, in ascending order.
    pub steps: Vec<(u64, Rates)>,
}

/// What a model costs, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Price {
    /// Where the provider is asked for nothing else.
    pub standard: Schedule,
    /// Other service tiers by the provider's name for them, such as `flex` and `priority`.
    pub tiers: Vec<(SmolStr, Schedule)>,
    /// What one use of a tool costs that the provider hosts, by the provider's name for it.
    pub hosted: Vec<(SmolStr, Money)>,
    /// Who says so: an address, or `ringfence.yaml`.
    pub source: SmolStr,
    /// The day on which the source said so, as `2026-11-21`; empty where the configuration says it.
    pub as_of: SmolStr,
}

/// The most that a call may come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worst {
    /// Tokens read, at most.
    pub input: u64,
    /// Tokens written, at most, by all answers together.
    pub output: u64,
    /// Whether it asks the provider to write into its cache.
    pub writes_cache: CacheWrite,
    /// The service tier it asks for.
    pub tier: Option<SmolStr>,
    /// How often tools that the provider hosts are used, at most.
    pub hosted: Vec<(SmolStr, u64)>,
}

/// Whether and for how long a call writes into the provider's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CacheWrite {
    /// Not at all.
    #[default]
    Never,
    /// For some minutes.
    Short,
    /// For an hour.
    Hour,
}

/// Something about a call has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// The service tier.
    #[error("the service tier `{0}` of this model has no price")]
    Tier(SmolStr),
    /// A hosted tool.
    #[error("the hosted tool `{0}` of this model has no price")]
    Hosted(SmolStr),
}

// === impl Rates ===

impl Rates {
    /// The cost of exactly this, in millionths of a nano-dollar.
    fn cost(&self, usage: &Usage) -> u128 {
        [
            (usage.input, self.input),
            (usage.cached_input, self.cached_input),
            (usage.cache_write, self.cache_write),
            (usage.cache_write_1h, self.cache_write_1h),
            (usage.output, self.output),
            (usage.reasoning, self.reasoning),
        ]
        .into_iter()
        .map(|(tokens, price)| u128::from(tokens) * u128::from(price.nanos()))
        .fold(0, u128::saturating_add)
    }

    /// The dearest each token can become: what is read, and what is written.
    fn dearest(&self, writes: CacheWrite) -> (Money, Money) {
        let mut input = self.input.max(self.cached_input);
        if writes >= CacheWrite::Short {
            input = input.max(self.cache_write);
        }
        if writes >= CacheWrite::Hour {
            input = input.max(self.cache_write_1h);
        }
        (input, self.output.max(self.reasoning))
    }
}

// === impl Schedule ===

impl Schedule {
    /// The rates of a call that reads so many tokens.
    fn at(&self, input: u64) -> &Rates {
        let step = self.steps.iter().rev().find(|(above, _)| input > *above);
        step.map_or(&self.base, |(_, rates)| rates)
    }

    /// All rates that a call may get which reads at most so many tokens.
    fn up_to(&self, input: u64) -> impl Iterator<Item = &Rates> {
        let steps = self.steps.iter().filter(move |(above, _)| input > *above).map(|(_, rates)| rates);
        std::iter::once(&self.base).chain(steps)
    }
}

// === impl Price ===

impl Price {
    /// Nothing costs anything.
    pub fn free(source: &str) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// Whether a service tier is the usual one, by any of the names that providers have for it.
    pub fn is_usual(tier: &str) -> bool {
        matches!(tier, "default" | "standard" | "auto" | "standard_only")
    }

    /// The schedule of a service tier.
    fn tier(&self, tier: Option<&str>) -> Result<&Schedule, Unpriced> {
        match tier {
            None => Ok(&self.standard),
            Some(name) if Self::is_usual(name) => Ok(&self.standard),
            Some(name) => {
                let found = self.tiers.iter().find(|(known, _)| known == name);
                found.map(|(_, schedule)| schedule).ok_or_else(|| Unpriced::Tier(name.into()))
            }
        }
    }

    /// What a call cost, rounded up to whole nano-dollars.
    ///
    /// # Errors
    /// When the tier or a hosted tool that was used has no price.
    pub fn cost(
        &self,
        usage: &Usage,
        tier: Option<&str>,
        hosted: &[(SmolStr, u64)],
    ) -> Result<Money, Unpriced> {
        let tokens = self.tier(tier)?.at(usage.input_total()).cost(usage);
        Ok(in_nanos(tokens).plus(self.hosted(hosted)?))
    }

    /// The most that a call may cost. A provider may serve a tier that was asked for as the usual one.
    ///
    /// # Errors
    /// As [`Price::cost`].
    pub fn worst(&self, worst: &Worst) -> Result<Money, Unpriced> {
        let (input, output) = self.dearest(worst)?;
        let cost = u128::from(worst.input) * u128::from(input.nanos())
            + u128::from(worst.output) * u128::from(output.nanos());
        Ok(in_nanos(cost).plus(self.hosted(&worst.hosted)?))
    }

    /// The most that exactly these tokens cost at any service tier that has a price.
    pub fn dearest_cost(&self, usage: &Usage) -> Money {
        let tiers = self.tiers.iter().map(|(_, schedule)| schedule);
        let costs =
            tiers.chain([&self.standard]).map(|schedule| schedule.at(usage.input_total()).cost(usage));
        costs.map(in_nanos).max().unwrap_or_default()
    }

    /// How many tokens such a call may write for this much money at most, everything else being as it is; `None` where
    /// not even the rest of it fits. `worst.output` is not looked at.
    ///
    /// # Errors
    /// As [`Price::cost`].
    pub fn output_within(&self, worst: &Worst, money: Money) -> Result<Option<u64>, Unpriced> {
        let (input, output) = self.dearest(worst)?;
        let rest = money.nanos().checked_sub(self.hosted(&worst.hosted)?.nanos());
        let read = u128::from(worst.input) * u128::from(input.nanos());
        // Below the next nano-dollar everything rounds up to it.
        let left = rest.and_then(|rest| (u128::from(rest) * PER).checked_sub(read));
        Ok(left.map(|left| match output.nanos() {
            0 => u64::MAX,
            price => u64::try_from(left / u128::from(price)).unwrap_or(u64::MAX),
        }))
    }

    fn dearest(&self, worst: &Worst) -> Result<(Money, Money), Unpriced> {
        let asked = self.tier(worst.tier.as_deref())?;
        let all = asked.up_to(worst.input).chain(self.standard.up_to(worst.input));
        Ok(all.fold((Money::ZERO, Money::ZERO), |(input, output), rates| {
            let (read, written) = rates.dearest(worst.writes_cache);
            (input.max(read), output.max(written))
        }))
    }

    fn hosted(&self, uses: &[(SmolStr, u64)]) -> Result<Money, Unpriced> {
        let one = |(tool, times): &(SmolStr, u64)| {
            let price = self.hosted.iter().find(|(known, _)| known == tool);
            let (_, price) = price.ok_or_else(|| Unpriced::Hosted(tool.clone()))?;
            Ok(Money::from_nanos(price.nanos().saturating_mul(*times)))
        };
        uses.iter().map(one).sum()
    }
}

/// Rounded up.
fn in_nanos(millionths: u128) -> Money {
    Money::from_nanos(u64::try_from(millionths.div_ceil(PER)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn price() -> Price {
        let base = Rates {
            input: money("1.25"),
            cached_input: money("0.125"),
            cache_write: money("1.5"),
            cache_write_1h: money("2.5"),
            output: money("10"),
            reasoning: money("10"),
        };
        let long = Rates { input: money("2.5"), output: money("15"), reasoning: money("15"), ..base };
        let flex = Rates { input: money("0.6"), output: money("5"), reasoning: money("5"), ..base };
        Price {
            standard: Schedule { base, steps: vec![(200_000, long)] },
            tiers: vec![("flex".into(), Schedule { base: flex, steps: Vec::new() })],
            hosted: vec![("web_search".into(), money("0.01"))],
            ..Price::default()
        }
    }

    #[test]
    fn a_call_costs_what_its_tokens_cost_rounded_up() {
        let usage =
            Usage { input: 1_000, cached_input: 1_000, output: 100, reasoning: 100, ..Usage::default() };
        assert_eq!(price().cost(&usage, None, &[]), Ok(money("0.003375")));
        assert_eq!(price().cost(&usage, Some("flex"), &[]), Ok(money("0.001725")));
        assert_eq!(price().cost(&usage, None, &[("web_search".into(), 3)]), Ok(money("0.033375")));
        assert_eq!(price().cost(&usage, Some("priority"), &[]), Err(Unpriced::Tier("priority".into())));
        let tiny = Price {
            standard: Schedule {
                base: Rates { input: Money::from_nanos(1), ..Rates::default() },
                ..Schedule::default()
            },
            ..Price::default()
        };
        assert_eq!(tiny.cost(&Usage { input: 1, ..Usage::default() }, None, &[]), Ok(Money::from_nanos(1)));
        assert_eq!(Price::free("").cost(&usage, None, &[]), Ok(Money::ZERO));
    }

    #[test]
    fn a_long_call_is_dearer_as_a_whole() {
        let at = |input| price().cost(&Usage { input, ..Usage::default() }, None, &[]).unwrap();
        assert_eq!(at(200_000), money("0.25"));
        assert_eq!(at(200_001), money("0.5000025"));
    }

    proptest! {
        #[test]
        fn nothing_costs_more_than_the_worst(
            input in 0_u64..300_000, parts in proptest::array::uniform4(0_u64..100), output in 0_u64..100_000,
            thought in 0_u64..100, tier in prop_oneof![Just(None), Just(Some("flex"))], hour: bool,
        ) {
            let price = price();
            let share = |part: u64| input * part / 400;
            let hours = if hour { share(parts[2]) } else { 0 };
            let usage = Usage {
                cached_input: share(parts[0]), cache_write: share(parts[1]), cache_write_1h: hours,
                input: input - share(parts[0]) - share(parts[1]) - hours,
                reasoning: output * thought / 100, output: output - output * thought / 100,
            };
            let worst = Worst {
                input, output, tier: tier.map(SmolStr::from),
                writes_cache: if hour { CacheWrite::Hour } else { CacheWrite::Short },
                hosted: vec![("web_search".into(), 2)],
            };
            let most = price.worst(&worst).unwrap();
            for served in [None, tier] {
                prop_assert!(price.cost(&usage, served, &[("web_search".into(), 2)]).unwrap() <= most);
            }
            // What fits is the most that fits.
            let fits = price.output_within(&worst, most).unwrap().unwrap();
            prop_assert!(fits >= output);
            let (at, over) = (Worst { output: fits, ..worst.clone() }, Worst { output: fits + 1, ..worst });
            prop_assert!(price.worst(&at).unwrap() <= most);
            prop_assert!(price.worst(&over).unwrap() > most);
        }
    }
}
