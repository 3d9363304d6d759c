//! How a child ended.

use std::fmt;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// The sandbox around it was killed before it could say: by [`crate::Process::kill`], by running out of
    /// memory, or because the spawner died. Nothing of it is left.
    Killed,
}

impl ExitStatus {
    /// Whether it exited with code 0.
    pub const fn success(self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signaled(signal) => write!(f, "ended by signal {signal}"),
            Self::Killed => f.write_str("killed with everything below it"),
        }
    }
}
