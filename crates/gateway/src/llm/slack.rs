//! How much more than its limit an answer may seem to have before its stream is cut off.

/// How far over its limit the count of an answer may come before it is cut off: a share and so many tokens. What is
/// counted here is a guess that leans upwards, and the provider was told the limit: an answer within it must not be cut.
pub(super) const SLACK: Slack = Slack { percent: 50, tokens: 256 };

/// The same where what was set aside is spent and nobody answers for the provider keeping to a limit: the guess comes out
/// up to a quarter too high.
pub(super) const SLACK_SPENT: Slack = Slack { percent: 25, tokens: 64 };

/// How far a count may come over a limit.
pub(super) struct Slack {
    percent: u64,
    tokens: u64,
}

// === impl Slack ===

impl Slack {
    /// Whether so many tokens are more than the limit and this together.
    pub(super) fn is_left_behind(&self, written: u64, limit: u64) -> bool {
        let share = limit.saturating_mul(self.percent) / 100;
        written > limit.saturating_add(share).saturating_add(self.tokens)
    }
}
