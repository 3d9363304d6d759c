//! Why something cannot be translated.

/// A client's request cannot be said in the other API, or is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param}: {message}")]
pub struct Untranslatable {
    /// Where, as the client's provider writes it: `messages[2].content` for OpenAI, `messages.2.content` for Anthropic.
    /// Empty for the request as a whole.
    pub param: String,
    /// What is wrong and the way out. It holds nothing of the request.
    pub message: String,
}

/// A provider's answer is not what its API promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer is malformed at `{at}`: {message}")]
pub struct Malformed {
    /// Where, as the provider writes paths. Empty for the answer as a whole.
    pub at: String,
    /// What is wrong. It holds nothing of the answer.
    pub message: String,
}

/// Either, before it is known whose text it was.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: String,
    pub(super) message: String,
}

// === impl Untranslatable ===

impl From<Fault> for Untranslatable {
    fn from(fault: Fault) -> Self {
        Self { param: fault.at, message: fault.message }
    }
}

// === impl Malformed ===

impl From<Fault> for Malformed {
    fn from(fault: Fault) -> Self {
        Self { at: fault.at, message: fault.message }
    }
}
