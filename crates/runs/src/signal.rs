//! What a run's program can be told.

use std::fmt;
use std::str::FromStr;

use rustix::process::Signal as Number;

/// A signal that can be passed on to a run's program.
///
/// Those that ask it something, and no others: what holds a program or ends it whatever it wants is [`crate::Runs::pause`],
/// [`crate::Runs::stop`] and [`crate::Runs::kill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Whoever was there has gone; as a rule, to read its configuration again.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-\.
    Quit,
    /// To end.
    Terminate,
    /// Whatever the program says.
    User1,
    /// Whatever the program says.
    User2,
}

/// No signal that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signals that are passed on are HUP, INT, QUIT, TERM, USR1 and USR2")]
pub struct NoSignal;

// === impl Signal ===

impl Signal {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Hangup, Self::Interrupt, Self::Quit, Self::Terminate, Self::User1, Self::User2];

    /// Its name, without `SIG`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
            Self::User1 => "USR1",
            Self::User2 => "USR2",
        }
    }

    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Hangup => Number::HUP.as_raw(),
            Self::Interrupt => Number::INT.as_raw(),
            Self::Quit => Number::QUIT.as_raw(),
            Self::Terminate => Number::TERM.as_raw(),
            Self::User1 => Number::USR1.as_raw(),
            Self::User2 => Number::USR2.as_raw(),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Signal {
    type Err = NoSignal;

    fn from_str(text: &str) -> Result<Self, NoSignal> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        Self::ALL.into_iter().find(|signal| signal.as_str() == name).ok_or(NoSignal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_those_that_cannot_be_refused_are_none() {
        for signal in Signal::ALL {
            assert_eq!(signal.as_str().parse(), Ok(signal));
            assert_eq!(format!("SIG{signal}").parse(), Ok(signal));
        }
        for other in ["KILL", "STOP", "CONT", "WINCH", "int", "2", "", "SIGSIGINT"] {
            assert_eq!(other.parse::<Signal>(), Err(NoSignal), "{other}");
        }
    }
}
