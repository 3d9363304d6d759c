//! Who may spend how much, in how long.

use std::fmt;
use std::str::FromStr;

use crate::time::DAY_MICROS;
use crate::{Money, Timestamp, UnknownWord};

/// Whose spending is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// One run.
    Run,
    /// One conversation of a user, over all its runs.
    Conversation,
    /// One agent of a workspace.
    Agent,
    /// One user of a workspace, over all agents.
    User,
    /// A workspace.
    Workspace,
}

/// A stretch of the calendar (UTC) after which a budget is whole again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first to the first.
    Month,
}

/// What somebody may spend; what is `None` is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Money.
    pub usd: Option<Money>,
    /// Tokens, read and written, of every kind.
    pub tokens: Option<u64>,
    /// In how long; for as long as its subject lives without one.
    pub per: Option<Window>,
}

// === impl Level ===

impl Level {
    /// Every level, the narrowest first.
    pub const ALL: [Self; 5] = [Self::Run, Self::Conversation, Self::Agent, Self::User, Self::Workspace];

    /// The word users and the log know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Conversation => "conversation",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Workspace => "workspace",
        }
    }
}

impl FromStr for Level {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or(UnknownWord::expecting("run, conversation, agent, user, workspace"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Window ===

impl Window {
    /// Every window, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The word users and the log know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The window that a moment is in: its first moment, and the first after it.
    pub fn around(self, at: Timestamp) -> (Timestamp, Timestamp) {
        let aligned = |length: u64| {
            let start = at.as_micros() / length * length;
            (Timestamp::from_micros(start), Timestamp::from_micros(start + length))
        };
        match self {
            Self::Hour => aligned(DAY_MICROS / 24),
            Self::Day => aligned(DAY_MICROS),
            Self::Month => at.month(),
        }
    }
}

impl FromStr for Window {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|window| window.as_str() == text);
        found.ok_or(UnknownWord::expecting("hour, day, month"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_follow_the_calendar() {
        for (window, moment, start, end) in [
            (Window::Hour, "2026-11-21T18:40:58Z", "2026-11-21T18:00:00Z", "2026-11-21T19:00:00Z"),
            (Window::Day, "2026-11-21T18:40:58Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            (Window::Month, "2026-11-21T18:40:58Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (Window::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Window::Month, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            (Window::Month, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z"),
        ] {
            assert_eq!(window.around(at(moment)), (at(start), at(end)), "{window} around {moment}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_in_one_window(micros in 0..250_000_000_000_000_000_u64) {
            let moment = Timestamp::from_micros(micros);
            for window in Window::ALL {
                let (start, end) = window.around(moment);
                prop_assert!(start <= moment && moment < end);
                prop_assert_eq!(window.around(start), (start, end));
                prop_assert_eq!(window.around(end).0, end);
            }
        }
    }
}
