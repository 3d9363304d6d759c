//! The words of the providers.

mod chat;
mod embeddings;
mod messages;
mod models;
mod responses;

use bytes::Bytes;

use crate::said::{Said, Usage};

pub use embeddings::embeddings;
pub use models::models;

/// When everything was made, in Unix seconds: answers to the same request are the same.
const CREATED: u64 = 1_760_000_000;

/// An API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's `/v1/chat/completions`.
    Chat,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// OpenAI's `/v1/embeddings`.
    Embeddings,
    /// Anthropic's `/v1/messages`.
    Messages,
    /// Anthropic's `/v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/models` of both.
    Models,
}

// === impl Api ===

impl Api {
    /// The API at a path, whatever stands before it.
    pub fn at(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        let ends = [
            ("/chat/completions", Self::Chat),
            ("/responses", Self::Responses),
            ("/embeddings", Self::Embeddings),
            ("/messages/count_tokens", Self::CountTokens),
            ("/messages", Self::Messages),
            ("/models", Self::Models),
        ];
        ends.into_iter().find_map(|(end, api)| path.ends_with(end).then_some(api))
    }

    /// Its name in the statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat_completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
        }
    }

    /// Whether it is one of Anthropic's.
    pub fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }

    /// A whole answer.
    pub fn whole(self, said: &Said) -> String {
        match self {
            Self::Responses => responses::whole(said),
            Self::Messages => messages::whole(said),
            Self::CountTokens => format!(r#"{{"input_tokens":{}}}"#, said.usage.input),
            _ => chat::whole(said),
        }
    }

    /// What a stream begins with.
    pub fn opening(self, said: &Said) -> String {
        match self {
            Self::Responses => responses::opening(said),
            Self::Messages => messages::opening(said),
            _ => chat::opening(said),
        }
    }

    /// A piece, with what begins and ends its part.
    pub fn piece(self, said: &Said, index: u32) -> String {
        let Some(piece) = said.piece(index) else { return String::new() };
        match self {
            Self::Responses => responses::piece(said, piece, index),
            Self::Messages => messages::piece(said, piece),
            _ => chat::piece(said, piece),
        }
    }

    /// What a stream ends with.
    pub fn closing(self, said: &Said) -> String {
        match self {
            Self::Responses => responses::closing(said),
            Self::Messages => messages::closing(said),
            _ => chat::closing(said),
        }
    }

    /// An error in the middle of a stream.
    pub fn trouble(self) -> &'static str {
        match self {
            Self::Responses => responses::TROUBLE,
            Self::Messages => messages::TROUBLE,
            _ => chat::TROUBLE,
        }
    }
}

/// A list of JSON texts.
fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut text = String::from("[");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    text
}

/// Tokens written to a cache, as OpenAI says it: only where there are any.
fn written(usage: Usage) -> String {
    if usage.cache_write == 0 {
        String::new()
    } else {
        format!(r#","cache_write_tokens":{}"#, usage.cache_write)
    }
}

/// Ends every line of a stream in CR LF.
pub fn with_crlf(events: &Bytes) -> Bytes {
    String::from_utf8_lossy(events).replace('\n', "\r\n").into()
}
