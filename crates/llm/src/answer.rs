//! Answers and streams, read while they pass: what they used, how long they are, how they end.
//!
//! A provider's count settles a call, so it is read with suspicion: what cannot be so is marked
//! ([`Answered::doubtful`]) and read as the largest use that agrees with it. Where there is none, what passed is counted.

mod ending;
mod events;
mod hosted;
mod meter;
mod output;
mod stated;
mod usage;
mod whole;

use ringfence_types::Usage;
use smol_str::SmolStr;

pub use meter::{Garbage, Meter, Pass};
pub use output::output_tokens;
pub use stated::TOKENS_MAX;
pub use whole::whole;

/// What an answer in one piece says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// What the provider says it used; `None` where it says nothing.
    pub usage: Option<Usage>,
    /// What it says cannot be so: the usage is the largest that agrees with it.
    pub doubtful: bool,
    /// The service tier that served it, in the provider's word.
    pub tier: Option<SmolStr>,
    /// How often each tool was used that the provider hosts, by its name without a version or suffix: `web_search`,
    /// `web_fetch`, `code_interpreter`. Only what was used.
    pub hosted: Vec<(SmolStr, u64)>,
    /// Bytes that the model wrote: text, reasoning as far as it is shown, names and arguments of tool calls.
    pub output_bytes: u64,
    /// Why it ends, in the provider's word; the last of several answers.
    pub finish: Option<SmolStr>,
    /// It says that it failed.
    pub failed: Option<Failed>,
}

/// What a stream has said about itself so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// What the provider said it used. See the next two for what of it is final.
    pub reported: Option<Usage>,
    /// It said how much was read.
    pub input_reported: bool,
    /// It said how much was written, for the whole answer.
    pub output_reported: bool,
    /// About how many tokens were seen passing.
    pub output_tokens_counted: u64,
    /// Bytes that the model wrote, as in [`Answered::output_bytes`].
    pub output_bytes: u64,
    /// As in [`Answered::tier`].
    pub tier: Option<SmolStr>,
    /// As in [`Answered::hosted`].
    pub hosted: Vec<(SmolStr, u64)>,
    /// As in [`Answered::finish`].
    pub finish: Option<SmolStr>,
    /// It ended as its API ends a stream, well or with an error.
    pub finished: bool,
    /// It said that it failed.
    pub failed: Option<Failed>,
    /// What it said cannot be so, as in [`Answered::doubtful`].
    pub doubtful: bool,
    /// It reported more than once where its API does so once.
    pub repeated: bool,
}

/// A provider's error within an answer or a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its type or code, in the provider's word.
    pub kind: SmolStr,
}

// === impl Counted ===

impl Counted {
    /// Whether the provider's count can be booked as it is.
    pub fn is_exact(&self) -> bool {
        self.input_reported && self.output_reported && !self.doubtful
    }

    /// What to settle at: what the provider reported, and where it did not, the estimate given for what was read and what
    /// was counted of what was written. Reasoning that was not shown cannot be counted.
    pub fn usage(&self, input_estimate: u64) -> Usage {
        let reported = self.reported.unwrap_or_default();
        let input = if self.input_reported {
            Usage { output: 0, reasoning: 0, ..reported }
        } else {
            Usage { input: input_estimate.max(reported.input_total()), ..Usage::default() }
        };
        let written = reported.output_total();
        let missing = if self.output_reported && !usage::is_too_little(written, self.output_bytes) {
            0
        } else {
            self.output_tokens_counted.saturating_sub(written)
        };
        Usage { output: reported.output.saturating_add(missing), reasoning: reported.reasoning, ..input }
    }
}

#[cfg(test)]
mod tests;
