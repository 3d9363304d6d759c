//! What a model call came to.

use ringfence_json::{Object, Value};
use ringfence_types::{Money, Price, Usage};
use smol_str::SmolStr;

use super::meter::Metered;
use super::terms::{Reservation, Terms};
use crate::limits::{COUNTED_MARGIN_PERCENT, COUNTED_MARGIN_TOKENS};
use crate::record::{Damaged, Members};

/// On what a charge is based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// What the provider reported.
    Reported,
    /// What was counted here, with a margin, because the provider had not reported, or not to the end.
    Counted,
    /// All that was set aside, because nobody knows more.
    Reserved,
    /// Nothing was used.
    Nothing,
    /// Nothing was used: an answer was kept from an earlier call.
    Cached,
}

/// What was booked for a call at every level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub usd: Money,
    pub usage: Usage,
    pub basis: Basis,
    pub reserved: Reservation,
    /// The service tier it was priced by, if not the usual one.
    pub tier: Option<SmolStr>,
    pub hosted: Vec<(SmolStr, u64)>,
    /// What the provider reported cannot be true, or has no price: it was booked at the most it can mean.
    pub doubtful: bool,
    /// How much more the model would have cost that the agent named, if that is another one and dearer; of an answer that
    /// was kept, what it used when it was made, as far as that is known.
    pub saved: Money,
}

// === impl Charge ===

impl Charge {
    /// What the meter makes of a call.
    pub(crate) fn of(terms: &Terms, metered: Metered) -> Self {
        let is_reported = matches!(metered.reported, Some((_, true)));
        if metered.sent && metered.blind && !metered.free && !is_reported {
            return Self::reserved(terms.reservation);
        }
        let (usage, basis) = usage(&metered, terms);
        let price = &terms.setup.price;
        let nothing = matches!(basis, Basis::Nothing | Basis::Cached);
        let kept = saved_by_keeping(terms, &metered);
        let hosted = if nothing { Vec::new() } else { metered.hosted };
        let tier = tier(metered.tier, terms.demand.tier.clone()).filter(|_| !nothing);
        let cost = price.cost(&usage, tier.as_deref(), &hosted);
        let doubtful = metered.doubtful || cost.is_err();
        // Something was served that has no price: at the dearest that is known of this model, and never below what
        // was set aside.
        let usd = cost.unwrap_or_else(|_| price.dearest_cost(&usage).max(terms.reservation.usd));
        let named = terms.named.as_ref().and_then(|named| named.price.cost(&usage, None, &[]).ok());
        let saved = if basis == Basis::Cached { kept } else { named.unwrap_or_default().minus(usd) };
        Self { usd, usage, basis, reserved: terms.reservation, tier, hosted, doubtful, saved }
    }

    /// All that was set aside: the outcome is unknown.
    pub(crate) fn reserved(reserved: Reservation) -> Self {
        Self {
            usd: reserved.usd,
            usage: Usage { input: reserved.tokens, ..Usage::default() },
            basis: Basis::Reserved,
            reserved,
            tier: None,
            hosted: Vec::new(),
            doubtful: false,
            saved: Money::ZERO,
        }
    }

    /// Tokens that count against budgets.
    pub(crate) fn tokens(&self) -> u64 {
        self.usage.total()
    }

    /// Whether more was used than was set aside.
    pub(crate) fn is_over(&self) -> bool {
        self.usd > self.reserved.usd || self.tokens() > self.reserved.tokens
    }

    /// The same, but in no part less than what was set aside: so much was booked before this was known.
    pub(crate) fn at_least_reserved(mut self) -> Self {
        let more = self.reserved.usd.minus(self.usd);
        self.usd = self.usd.plus(more);
        self.saved = self.saved.minus(more);
        let more = self.reserved.tokens.saturating_sub(self.tokens());
        self.usage.input = self.usage.input.saturating_add(more);
        self
    }

    /// What was used beyond what was set aside.
    pub(crate) fn beyond(&self) -> Reservation {
        Reservation {
            usd: self.usd.minus(self.reserved.usd),
            tokens: self.tokens().saturating_sub(self.reserved.tokens),
        }
    }

    pub(crate) fn body(&self) -> Object {
        let hosted: Object =
            self.hosted.iter().fold(Object::new(), |all, (tool, uses)| all.with(tool.clone(), *uses));
        Object::new()
            .with("usd_nanos", self.usd)
            .with("basis", self.basis.as_str())
            .with("usage", self.usage.to_object())
            .with("reserved", self.reserved.body())
            .with_some("tier", self.tier.clone())
            .with_some("hosted", (!self.hosted.is_empty()).then_some(hosted))
            .with_some("doubtful", self.doubtful.then_some(true))
            .with_some("saved_nanos", (!self.saved.is_zero()).then_some(self.saved))
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let damaged = || Damaged("usage".into());
        let hosted = members.0.get("hosted").and_then(Value::as_object);
        let hosted = hosted.into_iter().flat_map(Object::iter);
        Ok(Self {
            usd: Money::from_nanos(members.number("usd_nanos")?),
            usage: Usage::from_object(members.object("usage")?.0).ok_or_else(damaged)?,
            basis: members.parse("basis")?,
            reserved: Reservation::read(members.object("reserved")?)?,
            tier: members.optional("tier")?,
            hosted: hosted.filter_map(|(tool, uses)| Some((tool.clone(), uses.as_u64()?))).collect(),
            doubtful: members.flag("doubtful")?,
            saved: Money::from_nanos(members.number_or("saved_nanos", 0)?),
        })
    }
}

/// The tier that a call is priced by, if not the usual one. A surcharge for speed or place that was asked for is none of
/// a provider's service tiers: it holds whatever tier served the call.
fn tier(served: Option<SmolStr>, asked: Option<SmolStr>) -> Option<SmolStr> {
    let is_surcharge = |tier: &SmolStr| tier.starts_with("fast") || tier.starts_with("geo_");
    let tier = match (served, asked) {
        (_, Some(asked)) if is_surcharge(&asked) => Some(asked),
        (served, asked) => served.or(asked),
    };
    tier.filter(|tier| !Price::is_usual(tier))
}

/// What an answer that was kept would cost of the model that the agent named. Whoever gives it out again says what it
/// used; where nobody does, nothing is guessed.
fn saved_by_keeping(terms: &Terms, metered: &Metered) -> Money {
    let Some((used, true)) = metered.reported else { return Money::ZERO };
    let cost = if let Some(named) = &terms.named {
        named.price.cost(&used, None, &[])
    } else {
        let tier = tier(metered.tier.clone(), terms.demand.tier.clone());
        terms.setup.price.cost(&used, tier.as_deref(), &[])
    };
    cost.unwrap_or_default()
}

/// Tokens, and how it is known.
fn usage(metered: &Metered, terms: &Terms) -> (Usage, Basis) {
    match metered.reported {
        _ if terms.call.cached => (Usage::default(), Basis::Cached),
        _ if !metered.sent || (metered.free && metered.output == 0) => (Usage::default(), Basis::Nothing),
        // A report that says less than what passed by is not believed.
        Some((usage, true)) if metered.doubtful => {
            let output = metered.output.max(usage.output_total()).saturating_sub(usage.reasoning);
            (Usage { output, ..usage }, Basis::Reported)
        }
        Some((usage, true)) => (usage, Basis::Reported),
        Some((usage, false)) => {
            let counted = counted(metered, terms).max(usage.output_total());
            (Usage { output: counted.saturating_sub(usage.reasoning), ..usage }, Basis::Counted)
        }
        None => {
            let output = counted(metered, terms);
            let input = metered.input.min(terms.demand.input);
            (Usage { input, output, ..Usage::default() }, Basis::Counted)
        }
    }
}

/// What was written, as counted here: with a margin, but no more than the provider was told to write.
fn counted(metered: &Metered, terms: &Terms) -> u64 {
    let most = terms.demand.tokens(terms.output.unwrap_or(0)).saturating_sub(terms.demand.input);
    with_margin(metered.output).min(most.max(metered.output))
}

/// What was written beyond what arrived is guessed generously.
fn with_margin(output: u64) -> u64 {
    let share = output.saturating_mul(COUNTED_MARGIN_PERCENT) / 100;
    output.saturating_add(share).saturating_add(COUNTED_MARGIN_TOKENS)
}

// === impl Basis ===

impl Basis {
    const ALL: [Self; 5] = [Self::Reported, Self::Counted, Self::Reserved, Self::Nothing, Self::Cached];

    fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Reserved => "reserved",
            Self::Nothing => "nothing",
            Self::Cached => "cached",
        }
    }
}

impl std::str::FromStr for Basis {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|basis| basis.as_str() == text).ok_or(())
    }
}
