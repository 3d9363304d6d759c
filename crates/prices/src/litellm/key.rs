//! What a key of an entry says.

/// Kinds of tokens, in the order of [`Kind::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Input,
    Cached,
    Write,
    WriteHour,
    /// Kept for longer than an hour; there is no kind for that here, and it is at least as dear.
    WriteLonger,
    Output,
    Reasoning,
}

/// How many kinds there are.
pub const KINDS: usize = 7;

/// What a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'k> {
    /// The price of a kind of token, from so many tokens read on, in a service tier.
    Rate { kind: Kind, above: Option<u64>, tier: Option<&'k str> },
    /// Cheaper or dearer under conditions that no call through here has: batches and such.
    Elsewhere,
    /// A price for something that a call can come to contain, and that is no kind of token here: the entry cannot be
    /// taken over.
    Unpriceable,
    /// As [`Meaning::Unpriceable`] if it is dearer than text that is read.
    ImageRead,
    /// As [`Meaning::Unpriceable`] if it is dearer than text that is written.
    OtherWritten,
    /// A price for something that a call cannot ask for, or only by a name that then has no price.
    LeftOut,
    /// Nothing about money.
    Silent,
}

/// The longer ones first, so that none is taken for the beginning of another.
const RATES: [(&str, Kind); 7] = [
    ("cache_creation_input_token_cost_above_12hr", Kind::WriteLonger),
    ("cache_creation_input_token_cost_above_1hr", Kind::WriteHour),
    ("cache_creation_input_token_cost", Kind::Write),
    ("cache_read_input_token_cost", Kind::Cached),
    ("input_cost_per_token", Kind::Input),
    ("output_cost_per_reasoning_token", Kind::Reasoning),
    ("output_cost_per_token", Kind::Output),
];

/// Service tiers that a request can name.
const TIERS: [&str; 2] = ["flex", "priority"];

/// Parts of keys for tools that the provider hosts, whose use is refused without a price, and for conditions that the
/// price list gives only as a factor.
const LEFT_OUT: [&str; 12] = [
    "audio_token",
    "video_token",
    "google_maps_grounding",
    "code_interpreter",
    "computer_use",
    "file_search",
    "vector_store",
    "annotation",
    "uplift_multiplier",
    "provider_specific_entry",
    "off_peak_pricing",
    "_dbu_",
];

impl Kind {
    /// Where it stands in a row of kinds.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What a key says.
pub fn meaning(key: &str) -> Meaning<'_> {
    let rate = RATES.iter().find_map(|(start, kind)| Some((key.strip_prefix(start)?, *kind)));
    if let Some((rest, kind)) = rate {
        return conditions(rest).map_or(Meaning::Elsewhere, |(above, tier)| Meaning::Rate {
            kind,
            above,
            tier,
        });
    }
    let is_price = key.contains("cost") || LEFT_OUT.iter().any(|part| key.contains(part));
    match key {
        _ if !is_price || key == "search_context_cost_per_query" => Meaning::Silent,
        _ if key.contains("_batches") => Meaning::Elsewhere,
        _ if key.starts_with("input_cost_per_image_token") => Meaning::ImageRead,
        _ if key.starts_with("output_cost_per_") && key.contains("_token") => Meaning::OtherWritten,
        _ if LEFT_OUT.iter().any(|part| key.contains(part)) => Meaning::LeftOut,
        "cache_read_input_image_token_cost" | "explicit_cache_read_input_token_cost" => Meaning::LeftOut,
        _ => Meaning::Unpriceable,
    }
}

/// `_above_272k_tokens_priority` and parts of it; `None` for conditions of another kind.
fn conditions(rest: &str) -> Option<(Option<u64>, Option<&str>)> {
    let (above, rest) = match rest.strip_prefix("_above_") {
        Some(rest) => {
            let (thousands, rest) = rest.split_once("k_tokens")?;
            (Some(thousands.parse::<u64>().ok()?.checked_mul(1000)?), rest)
        }
        None => (None, rest),
    };
    match rest.strip_prefix('_') {
        Some(tier) if TIERS.contains(&tier) => Some((above, Some(tier))),
        None if rest.is_empty() => Some((above, None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_they_price() {
        let rate = |kind, above, tier| Meaning::Rate { kind, above, tier };
        for (key, expected) in [
            ("input_cost_per_token", rate(Kind::Input, None, None)),
            ("output_cost_per_token_above_200k_tokens", rate(Kind::Output, Some(200_000), None)),
            ("input_cost_per_token_flex", rate(Kind::Input, None, Some("flex"))),
            (
                "cache_read_input_token_cost_above_272k_tokens_priority",
                rate(Kind::Cached, Some(272_000), Some("priority")),
            ),
            ("cache_creation_input_token_cost_above_1hr", rate(Kind::WriteHour, None, None)),
            (
                "cache_creation_input_token_cost_above_1hr_above_100k_tokens",
                rate(Kind::WriteHour, Some(100_000), None),
            ),
            ("cache_creation_input_token_cost_above_12hr_flex", rate(Kind::WriteLonger, None, Some("flex"))),
            ("cache_creation_input_token_cost_above_200k_tokens", rate(Kind::Write, Some(200_000), None)),
            ("output_cost_per_reasoning_token", rate(Kind::Reasoning, None, None)),
            ("input_cost_per_token_batches", Meaning::Elsewhere),
            ("input_cost_per_token_cache_hit", Meaning::Elsewhere),
            ("output_cost_per_image_token_batches", Meaning::Elsewhere),
            ("input_cost_per_audio_token_priority", Meaning::LeftOut),
            ("cache_read_input_audio_token_cost", Meaning::LeftOut),
            ("provider_specific_entry", Meaning::LeftOut),
            ("input_cost_per_image_token", Meaning::ImageRead),
            ("output_cost_per_audio_token", Meaning::OtherWritten),
            ("input_cost_per_character", Meaning::Unpriceable),
            ("output_cost_per_second_1080p", Meaning::Unpriceable),
            ("input_cost_per_image", Meaning::Unpriceable),
            ("input_cost_per_request", Meaning::Unpriceable),
            ("citation_cost_per_token", Meaning::Unpriceable),
            ("search_context_cost_per_query", Meaning::Silent),
            ("max_input_tokens", Meaning::Silent),
        ] {
            assert_eq!(meaning(key), expected, "{key}");
        }
    }
}
