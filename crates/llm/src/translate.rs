//! Between OpenAI's Chat Completions API and Anthropic's Messages API, both ways, so that one client can use every model.
//!
//! | | a client that speaks Chat | a client that speaks Messages |
//! |---|---|---|
//! | its request | [`chat_to_messages`] | [`messages_to_chat`] |
//! | the answer | [`messages_to_chat_answer`] | [`chat_to_messages_answer`] |
//! | the answer as a stream | [`ChatStream`] | [`MessagesStream`] |
//! | an error | [`error_to_chat`] | [`error_to_messages`] |
//!
//! Three rules hold everywhere. What the other API has no word for is refused when the answer depends on it
//! ([`Untranslatable`]), and left out and listed when it does not ([`Translated::dropped`]). A member nobody knows is
//! refused, never passed on. Numbers, texts and arguments keep their literal text.
//!
//! Followed: OpenAI, API reference, "Chat Completions"; Anthropic, API reference, "Messages", "Streaming messages" and
//! "Errors"; each as of November 2026.

mod answer_to_chat;
mod answer_to_messages;
mod calls;
mod chat_request;
mod chat_stream;
mod errors;
mod fault;
mod fields;
mod media;
mod messages_request;
mod messages_stream;
mod names;
mod node;
mod sse;
mod stop;
mod usage;

#[cfg(test)]
mod tests;

pub use answer_to_chat::messages_to_chat_answer;
pub use answer_to_messages::chat_to_messages_answer;
pub use chat_request::chat_to_messages;
pub use chat_stream::ChatStream;
pub use errors::{error_to_chat, error_to_messages};
pub use fault::{Malformed, Untranslatable};
pub use messages_request::messages_to_chat;
pub use messages_stream::MessagesStream;

use ringfence_json::Object;

/// Paths that [`Translated::dropped`] lists at most.
pub const DROPPED_MAX: usize = 32;

/// A request in the other API's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The request.
    pub body: Object,
    /// What the other API has no word for and the answer does not depend on, or what is said there in the nearest words:
    /// where it stood in the client's request, the first [`DROPPED_MAX`] of them. Paths only, never contents.
    pub dropped: Vec<String>,
    /// How many more there are.
    pub dropped_more: usize,
}

// === impl Translated ===

impl Translated {
    fn new(body: Object, mut dropped: Vec<String>) -> Self {
        let dropped_more = dropped.len().saturating_sub(DROPPED_MAX);
        dropped.truncate(DROPPED_MAX);
        Self { body, dropped, dropped_more }
    }
}
