//! A run and the token that stands for it.

use std::fmt;

use ringfence_types::{
    AgentName, ConversationName, Digest, RunId, Scope, Timestamp, UserName, WorkspaceName,
};

/// One run of an agent: what a run token is bound to. Never changes after it was minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Where the agent belongs.
    pub workspace: WorkspaceName,
    /// Whose run it is.
    pub agent: AgentName,
    /// For whom it works.
    pub user: Option<UserName>,
    /// What it is part of.
    pub conversation: Option<ConversationName>,
    /// When its token was minted.
    pub minted_at: Timestamp,
    /// When its token ends.
    pub expires_at: Timestamp,
}

/// A run token: 256 random bits. Shown once, to whoever had it minted; the log and the memory hold its digest.
pub struct RunToken(String);

/// What a run token starts with, so that scanners can recognise one that leaked.
pub const RUN_TOKEN_PREFIX: &str = "rfr_";

const TOKEN_DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

// === impl Run ===

impl Run {
    /// What suspensions are held against: workspace, agent, run.
    pub fn scope(&self) -> Scope {
        Scope {
            workspace: Some(self.workspace.clone()),
            agent: Some(self.agent.clone()),
            run: Some(self.id),
            ..Scope::default()
        }
    }
}

// === impl RunToken ===

impl RunToken {
    /// A token of these random bytes.
    pub(crate) fn new(random: &[u8; 32]) -> Self {
        let mut text = String::from(RUN_TOKEN_PREFIX);
        // 52 digits of five bits hold the 256 bits; the last digit carries one of them.
        for index in 0..52 {
            let bit = index * 5;
            let high = random[bit / 8];
            let low = random.get(bit / 8 + 1).copied().unwrap_or(0);
            let window = u16::from_be_bytes([high, low]);
            let digit = window >> (11 - bit % 8) & 31;
            text.push(char::from(TOKEN_DIGITS[usize::from(digit)]));
        }
        Self(text)
    }

    /// The token in the clear, for the one who had it minted.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for RunToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_the_randomness_reaches_the_token() {
        let zero = RunToken::new(&[0; 32]);
        for bit in 0..256 {
            let mut random = [0; 32];
            random[bit / 8] |= 1 << (bit % 8);
            assert_ne!(RunToken::new(&random).reveal(), zero.reveal(), "bit {bit} is lost");
        }
        assert!(zero.reveal().starts_with(RUN_TOKEN_PREFIX));
        assert!(!format!("{zero:?}").contains("000"));
    }
}
