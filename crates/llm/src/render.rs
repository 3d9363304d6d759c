//! Answers written in the words of each API, whole and as streams, and requests read as far as whoever makes up an answer
//! has to look at them.
//!
//! What [`crate::answer`] reads out of what is written here is what was put in: the same usage, the same end.

mod chat;
mod embeddings;
mod heard;
mod messages;
mod pieces;
mod responses;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_types::Usage;
use smol_str::SmolStr;

use crate::Api;
use crate::answer::output_tokens;
use crate::tokens::Tokenizer;

pub use embeddings::embeddings;
pub use heard::{Brought, Heard};

/// An answer in nobody's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What the ids in it are made of: letters and digits.
    pub id: SmolStr,
    /// When it was made, in Unix seconds.
    pub created: u64,
    /// The model that it is from.
    pub model: SmolStr,
    /// What it is made of, in order.
    pub parts: Vec<Part>,
    /// Why it ends.
    pub stop: Stop,
    /// What it used.
    pub usage: Usage,
    /// How many times it is given: only Chat Completions give more than one.
    pub answers: u64,
}

/// A part of an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// What it thinks. Chat Completions do not show it.
    Think(SmolStr),
    /// What it says.
    Text(SmolStr),
    /// A tool that it calls.
    Call {
        /// The tool's name.
        tool: SmolStr,
        /// What the tool is given.
        arguments: Object,
    },
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All is said.
    End,
    /// It is as long as it may be.
    Length,
    /// Tools are called.
    Tools,
    /// It is held back.
    Filter,
}

// === impl Said ===

impl Said {
    /// The whole answer.
    pub fn whole(&self, api: Api) -> Object {
        match api {
            Api::Responses => responses::whole(self),
            Api::Messages => messages::whole(self),
            Api::CountTokens => Object::new().with("input_tokens", self.usage.input_total()),
            Api::Chat | Api::Embeddings => chat::whole(self),
        }
    }

    /// The answer as a stream: what it begins with, its pieces, what it ends with. Each text comes in `chunks` pieces;
    /// word by word, where it is not said how many. `tell_usage`: whether Chat Completions tell what was used.
    pub fn stream(&self, api: Api, chunks: Option<usize>, tell_usage: bool) -> Vec<Bytes> {
        match api {
            Api::Responses => responses::stream(self, chunks),
            Api::Messages => messages::stream(self, chunks),
            Api::Chat | Api::Embeddings | Api::CountTokens => chat::stream(self, chunks, tell_usage),
        }
    }

    /// Counts what is written in it, as a provider that uses this tokenizer would.
    pub fn count(&mut self, api: Api, tokenizer: Tokenizer) {
        let all = output_tokens(api, &Value::Object(self.whole(api)), tokenizer);
        let thought = self.parts.iter().map(|part| match part {
            Part::Think(text) => tokenizer.count(text),
            _ => 0,
        });
        let thought = thought.sum::<u64>().saturating_mul(self.answers.max(1));
        self.usage.reasoning = thought;
        self.usage.output = if shows_thoughts(api) { all.saturating_sub(thought) } else { all };
    }

    /// Leaves so many tokens of it; what is cut ends for its length. A tool that cannot be called with all that it is
    /// given is not called.
    pub fn limit(&mut self, tokens: u64, tokenizer: Tokenizer) {
        let mut left = tokens;
        for at in 0..self.parts.len() {
            let needed = self.parts[at].tokens(tokenizer);
            if needed <= left {
                left -= needed;
                continue;
            }
            let rest = self.parts[at].shortened(left, tokenizer);
            self.parts.truncate(at);
            self.parts.extend(rest);
            self.stop = Stop::Length;
            return;
        }
    }

    fn texts(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The tools that are called, each with its place among the parts.
    fn calls(&self) -> impl Iterator<Item = (usize, &SmolStr, String)> {
        self.parts.iter().enumerate().filter_map(|(at, part)| match part {
            Part::Call { tool, arguments } => Some((at, tool, written(arguments))),
            _ => None,
        })
    }

    /// The id of the part at this place, with what such ids begin with.
    fn part_id(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}_{}{at}", self.id)
    }
}

/// Whether an API has a place for what is thought. Chat Completions have none: it only takes its time and its tokens.
fn shows_thoughts(api: Api) -> bool {
    matches!(api, Api::Responses | Api::Messages)
}

/// Arguments as a text.
fn written(arguments: &Object) -> String {
    String::from_utf8_lossy(&Value::Object(arguments.clone()).to_bytes()).into_owned()
}

// === impl Part ===

impl Part {
    fn tokens(&self, tokenizer: Tokenizer) -> u64 {
        match self {
            Self::Think(text) | Self::Text(text) => tokenizer.count(text),
            Self::Call { tool, arguments } => {
                tokenizer.count(tool).saturating_add(tokenizer.count(&written(arguments)))
            }
        }
    }

    /// What of it has so many tokens.
    fn shortened(&self, tokens: u64, tokenizer: Tokenizer) -> Option<Self> {
        let cut = |text: &SmolStr| {
            let cut = pieces::longest(text, |text| tokenizer.count(text) <= tokens);
            (!cut.is_empty()).then(|| SmolStr::new(cut))
        };
        match self {
            Self::Think(text) => cut(text).map(Self::Think),
            Self::Text(text) => cut(text).map(Self::Text),
            Self::Call { .. } => None,
        }
    }
}

impl std::fmt::Debug for Part {
    /// Sizes, never contents.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Think(text) => write!(f, "Think({} bytes)", text.len()),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Call { tool, .. } => write!(f, "Call({tool})"),
        }
    }
}
