//! Names: each its own type, so that an agent is never taken for a server.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use crate::principal::{BUILDS, SERVER};

/// The longest a name that users write may be, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// A text that cannot be a name of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("a name can have at most {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// A character that such a name cannot have.
    #[error("a name here is {expected}")]
    Characters {
        /// What it is made of.
        expected: &'static str,
    },
}

/// Lowercase letters, digits and hyphens, starting with a letter: what goes into a path.
fn is_path_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Letters, digits and `. _ - @`, starting with a letter or digit.
fn is_plain_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
}

/// A plain name, or one of those that stand in its place for who is no agent: see [`crate::Principal`].
fn is_agent_name(text: &str) -> bool {
    BUILDS.contains(&text) || text.strip_prefix(SERVER).map_or_else(|| is_plain_name(text), is_path_name)
}

/// Anything printable: what others chose, such as a tool's name or a user at an identity provider.
fn is_foreign_name(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident, $check:ident, $expected:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Takes a text as a name.
            ///
            /// # Errors
            /// When it is empty, too long or has characters such a name cannot have.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if text.is_empty() {
                    return Err(NameError::Empty);
                }
                if text.len() > NAME_BYTES_MAX {
                    return Err(NameError::TooLong);
                }
                if !$check(text) {
                    return Err(NameError::Characters { expected: $expected });
                }
                Ok(Self(SmolStr::new(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&$name> for ringfence_json::Value {
            fn from(name: &$name) -> Self {
                Self::String(name.0.clone())
            }
        }
    )+};
}

const PLAIN: &str = "letters, digits and `.` `_` `-` `@`, starting with a letter or digit";
const PATH: &str = "lowercase letters, digits and `-`, starting with a letter";
const FOREIGN: &str = "anything without control characters";

names! {
    /// The organization a node works for.
    OrganizationName, is_plain_name, PLAIN;
    /// A workspace: agents, tools, budgets and policy that belong together.
    WorkspaceName, is_plain_name, PLAIN;
    /// An agent of a workspace; or, where a run is somebody else's, who that is: see [`crate::Principal`].
    AgentName, is_agent_name, PLAIN;
    /// A person on the operators' side, as in `people:`.
    PersonName, is_plain_name, PLAIN;
    /// A role of a person or user.
    Role, is_plain_name, PLAIN;
    /// A model as `ringfence.yaml` names it.
    ModelName, is_plain_name, PLAIN;
    /// A node.
    NodeName, is_plain_name, PLAIN;
    /// A tool server of a workspace, as in `tools:`.
    ServerName, is_path_name, PATH;
    /// A tool, by the name its server gives it.
    ToolName, is_foreign_name, FOREIGN;
    /// Whom a run works for.
    UserName, is_foreign_name, FOREIGN;
    /// A conversation that several runs may share.
    ConversationName, is_foreign_name, FOREIGN;
    /// A rule of a policy.
    RuleName, is_foreign_name, FOREIGN;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_their_characters() {
        assert!(ServerName::new("search-2").is_ok());
        for bad in ["", "Search", "2search", "se_arch", "se/arch", "../x"] {
            assert!(ServerName::new(bad).is_err(), "{bad:?}");
        }
        assert!(AgentName::new("assistant.v2").is_ok());
        assert!(AgentName::new("a/b").is_err());
        assert!(ToolName::new("query\n").is_err());
        assert_eq!(ToolName::new(&"x".repeat(129)), Err(NameError::TooLong));
    }
}
