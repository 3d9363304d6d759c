//! What a provider says it used, with every token counted once.

use ringfence_json::Object;
use ringfence_types::Usage;

use super::stated::Counts;
use crate::tokens::TOKEN_BYTES_MAX;

/// A usage as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reading {
    pub usage: Usage,
    pub doubtful: bool,
    /// It states how much was read.
    pub has_input: bool,
    /// It states how much was written.
    pub has_output: bool,
}

/// Whether so many bytes cannot have been written with so few tokens.
pub(super) fn is_too_little(tokens: u64, bytes: u64) -> bool {
    tokens.saturating_mul(TOKEN_BYTES_MAX) < bytes
}

/// OpenAI's: `prompt_tokens` and `completion_tokens`, or `input_tokens` and `output_tokens`. The cached ones are among
/// those that were read, the reasoning ones among those that were written.
///
/// Others who speak this API differ: xAI has the reasoning beside `completion_tokens`, Google has it in `total_tokens`
/// only, DeepSeek has the cached ones beside the details. The total decides.
pub(super) fn openai(object: &Object) -> Reading {
    let mut counts = Counts::of(object);
    let input = counts.get(&["prompt_tokens", "input_tokens"]);
    let output = counts.get(&["completion_tokens", "output_tokens"]);
    let total = counts.get(&["total_tokens"]);
    let mut details = counts.within(&["prompt_tokens_details", "input_tokens_details"]);
    let cached =
        details.get(&["cached_tokens"]).or_else(|| counts.get(&["prompt_cache_hit_tokens"])).unwrap_or(0);
    let writes = Writes::openai(&mut details);
    let mut details_out = counts.within(&["completion_tokens_details", "output_tokens_details"]);
    let reasoning = details_out.get(&["reasoning_tokens"]).unwrap_or(0);

    let mut doubtful = counts.doubtful || details.doubtful || details_out.doubtful || writes.doubtful;
    let (read, read_doubtful) = read(input.unwrap_or(0), cached, &writes);
    let written =
        written(output.unwrap_or(0), reasoning, total.map(|total| total.saturating_sub(input.unwrap_or(0))));
    let mut usage = Usage { output: written.output, reasoning: written.reasoning, ..read };
    doubtful |= read_doubtful || written.doubtful || input.is_none();
    if let Some(total) = total {
        doubtful |= total != usage.total();
        // Nothing is left out of what is stated; and without anything written, what is missing was read.
        let missing = total.saturating_sub(usage.total());
        usage.input = usage.input.saturating_add(missing);
    }
    Reading { usage, doubtful, has_input: input.is_some(), has_output: output.is_some() }
}

/// Anthropic's, as stated; a stream states it in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Anthropic {
    input: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    short: Option<u64>,
    hour: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    doubtful: bool,
}

// === impl Anthropic ===

impl Anthropic {
    pub fn read(object: &Object) -> Self {
        let mut counts = Counts::of(object);
        let mut creation = counts.within(&["cache_creation"]);
        let mut details = counts.within(&["output_tokens_details"]);
        let (short, hour) =
            (creation.get(&["ephemeral_5m_input_tokens"]), creation.get(&["ephemeral_1h_input_tokens"]));
        let thinking = details.get(&["thinking_tokens"]);
        let mut read = Self {
            input: counts.get(&["input_tokens"]),
            cached: counts.get(&["cache_read_input_tokens"]),
            written: counts.get(&["cache_creation_input_tokens"]),
            short,
            hour,
            output: counts.get(&["output_tokens"]),
            thinking,
            doubtful: false,
        };
        read.doubtful = counts.doubtful || creation.doubtful || details.doubtful;
        read
    }

    fn members(&self) -> [Option<u64>; 7] {
        [self.input, self.cached, self.written, self.short, self.hour, self.output, self.thinking]
    }

    /// Takes in what is stated later: counts are cumulative, so one that falls is doubted, and the larger one counts.
    pub fn take(&mut self, later: &Self) {
        let falls =
            self.members().into_iter().zip(later.members()).any(|(old, new)| new.is_some() && new < old);
        // `None` is below every count.
        *self = Self {
            input: self.input.max(later.input),
            cached: self.cached.max(later.cached),
            written: self.written.max(later.written),
            short: self.short.max(later.short),
            hour: self.hour.max(later.hour),
            output: self.output.max(later.output),
            thinking: self.thinking.max(later.thinking),
            doubtful: self.doubtful || later.doubtful || falls,
        };
    }

    /// `input_tokens` has neither what was read from the cache nor what was written into it.
    pub fn reading(&self) -> Reading {
        let some = |count: Option<u64>| count.unwrap_or(0);
        let (short, hour) = (some(self.short), some(self.hour));
        let split = short.saturating_add(hour);
        let written = self.written.unwrap_or(split);
        let is_split = self.short.is_some() || self.hour.is_some();
        // What the split leaves out is priced as the dearer kind.
        let rest = written.saturating_sub(split);
        let (short, hour) = if is_split { (short, hour.saturating_add(rest)) } else { (written, 0) };
        let (output, thinking) = (some(self.output), some(self.thinking));
        let usage = Usage {
            input: some(self.input),
            cached_input: some(self.cached),
            cache_write: short,
            cache_write_1h: hour,
            output: output.saturating_sub(thinking),
            reasoning: thinking,
        };
        let agrees = (!is_split || split == written) && thinking <= output;
        Reading {
            usage,
            doubtful: self.doubtful || !agrees,
            has_input: self.input.is_some(),
            has_output: self.output.is_some(),
        }
    }
}

/// What was written into a cache.
struct Writes {
    short: u64,
    hour: u64,
    doubtful: bool,
}

impl Writes {
    /// OpenAI keeps for half an hour or twelve hours; the longer one is priced as the longer kind there is.
    fn openai(details: &mut Counts<'_>) -> Self {
        let all = details.get(&["cache_write_tokens"]).unwrap_or(0);
        let mut split = details.within(&["cache_write_tokens_details"]);
        let hour = split.get(&["ttl_12h_tokens"]).unwrap_or(0);
        let short = split.get(&["ttl_30m_tokens"]).unwrap_or(0);
        let rest = all.saturating_sub(short.saturating_add(hour));
        let doubtful = split.doubtful || short.saturating_add(hour) > all;
        Self { short: short.saturating_add(rest), hour, doubtful }
    }
}

/// What was read, out of a total with its parts. Parts that are more than the total get no rebate.
fn read(total: u64, cached: u64, writes: &Writes) -> (Usage, bool) {
    let written = writes.short.saturating_add(writes.hour);
    let parts = cached.saturating_add(written);
    let fits = parts <= total;
    let (input, cached_input) =
        if fits { (total - parts, cached) } else { (total.max(parts).saturating_sub(written), 0) };
    let usage = Usage {
        input,
        cached_input,
        cache_write: writes.short,
        cache_write_1h: writes.hour,
        ..Usage::default()
    };
    (usage, !fits)
}

struct Written {
    output: u64,
    reasoning: u64,
    doubtful: bool,
}

/// What was written, out of what is stated and what the total leaves for it.
fn written(stated: u64, reasoning: u64, left: Option<u64>) -> Written {
    let beside = stated.saturating_add(reasoning);
    let (output, reasoning, doubtful) = match left {
        // Reasoning beside the rest, as the total shows.
        Some(left) if left == beside => (stated, reasoning, false),
        // Written without saying what, as the total shows: thinking, where it was seen.
        Some(left) if stated > 0 && left > stated && left >= reasoning => {
            (stated.saturating_sub(reasoning), left - stated.saturating_sub(reasoning), reasoning > stated)
        }
        _ if reasoning <= stated => (stated - reasoning, reasoning, false),
        _ => (stated, reasoning, true),
    };
    Written { output, reasoning, doubtful }
}
