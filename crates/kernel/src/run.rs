//! A run and the token that stands for it.

use std::fmt;

use ringfence_types::{
    AgentName, ConversationName, Digest, Principal, RunId, Scope, Timestamp, UserName, WorkspaceName,
};

use crate::{Ancestor, RunBounds};

/// One run of an agent, or of something else that reaches hosts from a sandbox: what a run token, or the sockets of a sandbox,
/// are bound to. Never changes after it was minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Where the agent belongs.
    pub workspace: WorkspaceName,
    /// Whose run it is; of one that is no agent's, the name in its place: see [`Run::principal`].
    pub agent: AgentName,
    /// For whom it works.
    pub user: Option<UserName>,
    /// What it is part of.
    pub conversation: Option<ConversationName>,
    /// When its token was minted.
    pub minted_at: Timestamp,
    /// When its token ends.
    pub expires_at: Timestamp,
    /// Who stands above it: the run that started it, the one that started that, and so on. None where a person did.
    pub above: Vec<Ancestor>,
    /// What it was given beside what its agent's configuration says.
    pub bounds: RunBounds,
}

/// A run token: 256 random bits. Shown once, to whoever had it minted; the log and the memory hold its digest.
pub struct RunToken(String);

/// What a run token starts with, so that scanners can recognise one that leaked.
pub const RUN_TOKEN_PREFIX: &str = "rfr_";

const TOKEN_DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

// === impl Run ===

impl Run {
    /// The run that started it, if one did.
    pub fn parent(&self) -> Option<RunId> {
        self.above.first().map(|ancestor| ancestor.run)
    }

    /// Whose run it is, if not an agent's.
    pub fn principal(&self) -> Principal {
        Principal::of(&self.agent)
    }

    /// What it is called where it is refused something.
    pub fn called(&self) -> &'static str {
        match self.principal() {
            Principal::Agent => "This agent",
            Principal::Server(_) => "This tool server",
            Principal::Build(_) => "A build",
        }
    }

    /// The name of the tool server whose run it is, if it is one's.
    pub(crate) fn server(&self) -> Option<&str> {
        Principal::server_of(&self.agent)
    }

    /// What suspensions are held against: workspace, agent, run; of a tool server's run, the server too.
    pub fn scope(&self) -> Scope {
        let server = match self.principal() {
            Principal::Server(server) => Some(server),
            Principal::Agent | Principal::Build(_) => None,
        };
        Scope {
            workspace: Some(self.workspace.clone()),
            agent: Some(self.agent.clone()),
            run: Some(self.id),
            server,
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
