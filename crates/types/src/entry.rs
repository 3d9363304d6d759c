//! The kinds of entry the log has.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)?) => {
        /// What an entry of the log records; its `kind`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntryKind {
            $($(#[doc = $doc])+ $variant),+
        }

        impl EntryKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for EntryKind {
            type Err = UnknownEntryKind;

            fn from_str(text: &str) -> Result<Self, UnknownEntryKind> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownEntryKind) }
            }
        }
    };
}

kinds! {
    /// An action was cleared and may now be executed.
    Intent = "intent",
    /// What came of a cleared action.
    Outcome = "outcome",
    /// An action was refused.
    Refusal = "refusal",
    /// An action waits for a person.
    Pending = "pending",
    /// A person approved or denied, or an approval expired.
    Approval = "approval",
    /// Something was cut off, or let go on.
    Suspension = "suspension",
    /// A credential was released, rotated or revoked.
    Credential = "credential",
    /// A configuration took effect.
    Config = "config",
    /// A run token was minted or revoked.
    Token = "token",
    /// A tool definition was seen, pinned or changed.
    Pin = "pin",
    /// A budget moved.
    Budget = "budget",
    /// The digest of a snapshot of everything before it.
    Snapshot = "snapshot",
    /// A run or the node itself started or ended.
    Run = "run",
    /// Something people should look at.
    Incident = "incident",
}

/// The text is not a kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of log entry")]
pub struct UnknownEntryKind;

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
