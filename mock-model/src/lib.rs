//! A stand-in for the providers of models: their APIs to the letter, and bad days on request.
//!
//! It answers OpenAI's `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings` and `/v1/models`, and Anthropic's
//! `/v1/messages` and `/v1/messages/count_tokens`, plain and streamed, with usage. What it does is settled by
//! [`Behaviour`]: for the whole process, by the name of the model, by the last user message or by headers; README.md
//! lists the words. It counts what it saw ([`Stats`]), which is what a gateway's own figures are held against.
//!
//! It is a test's part: it knows no secret, keeps nothing on disk and listens on loopback unless told otherwise.

mod ask;
mod behaviour;
mod errors;
mod pieces;
mod said;
mod script;
mod server;
mod service;
mod stats;
mod values;
mod wire;

pub use behaviour::{Behaviour, UsageSaid};
pub use server::{MockModel, Options};
pub use stats::{Counts, Seen, Stats};
