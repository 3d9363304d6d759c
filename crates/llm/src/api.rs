//! The APIs under which models are called.

/// One operation of one provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI, `POST /chat/completions`.
    Chat,
    /// OpenAI, `POST /responses`.
    Responses,
    /// OpenAI, `POST /embeddings`.
    Embeddings,
    /// Anthropic, `POST /v1/messages`.
    Messages,
    /// Anthropic, `POST /v1/messages/count_tokens`.
    CountTokens,
}

/// Whose API it is: what errors and streams look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI, and everybody who is compatible with it.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

// === impl Api ===

impl Api {
    /// Every API.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Embeddings, Self::Messages, Self::CountTokens];

    /// Whose it is.
    pub fn family(self) -> Family {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => Family::OpenAi,
            Self::Messages | Self::CountTokens => Family::Anthropic,
        }
    }

    /// The path below a provider's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
        }
    }

    /// The word for it in rules and in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// Whether it writes tokens.
    pub fn generates(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Messages)
    }
}
