//! What can be decided, and about what.

use std::fmt;
use std::str::FromStr;

/// What policy says of an action. The order is strictness: of several decisions the greatest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// It may go ahead as asked.
    Allow,
    /// It may go ahead within the constraints of the rules that matched.
    AllowWithConstraints,
    /// A person has to agree first.
    RequireApproval,
    /// It may not.
    Deny,
}

/// The kinds of effect an agent can have; the `kind` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A tool of an MCP server, also its resources and prompts.
    ToolCall,
    /// A model.
    ModelCall,
    /// A request to a host.
    Egress,
    /// The release of a credential.
    Credential,
    /// The start of a sub-agent.
    Spawn,
}

/// Whether an action changes something; the `action_type` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionType {
    /// It only looks.
    Read,
    /// It may change something; also what nobody has said anything about.
    Write,
}

/// The text is none of the words that stand here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {expected}")]
pub struct UnknownWord {
    expected: &'static str,
}

impl UnknownWord {
    pub(crate) fn expecting(expected: &'static str) -> Self {
        Self { expected }
    }
}

macro_rules! words {
    ($type:ty, $expected:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// Every value there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word users and the log know it by.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord { expected: $expected }) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    Decision,
    "ALLOW, ALLOW_WITH_CONSTRAINTS, REQUIRE_APPROVAL, DENY",
    Allow = "ALLOW",
    AllowWithConstraints = "ALLOW_WITH_CONSTRAINTS",
    RequireApproval = "REQUIRE_APPROVAL",
    Deny = "DENY"
);
words!(
    Kind,
    "tool_call, model_call, egress, credential, spawn",
    ToolCall = "tool_call",
    ModelCall = "model_call",
    Egress = "egress",
    Credential = "credential",
    Spawn = "spawn"
);
words!(ActionType, "read, write", Read = "read", Write = "write");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_decision_is_the_greatest() {
        let strictest =
            [Decision::RequireApproval, Decision::Allow, Decision::AllowWithConstraints].into_iter().max();
        assert_eq!(strictest, Some(Decision::RequireApproval));
        assert!(Decision::Deny > Decision::RequireApproval);
    }

    #[test]
    fn words_read_back() {
        for decision in Decision::ALL {
            assert_eq!(decision.as_str().parse(), Ok(*decision));
        }
        assert!("allow".parse::<Decision>().unwrap_err().to_string().contains("ALLOW"));
    }
}
