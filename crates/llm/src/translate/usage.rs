//! The usage block of an answer, in either API's words.
//!
//! OpenAI counts cached tokens among `prompt_tokens` and reasoning among `completion_tokens`; Anthropic counts cached tokens
//! beside `input_tokens` and thinking among `output_tokens`.

use ringfence_json::Object;

use super::node::{Node, Read};

/// What a client is told of a call's tokens. What the call cost is read elsewhere, from what the provider really said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Read, and neither from nor into a cache.
    input: u64,
    cache_read: u64,
    cache_write: u64,
    /// Written in all, thinking included.
    output: u64,
    /// Of those, written while thinking.
    thinking: Option<u64>,
}

// === impl Counts ===

impl Counts {
    /// Takes over what Anthropic's `usage` says; in a stream, the later says the total so far (`MessageDeltaUsage`).
    pub(super) fn read_messages(&mut self, usage: &Node<'_>) -> Read<()> {
        let members = [
            (&mut self.input, "input_tokens"),
            (&mut self.cache_read, "cache_read_input_tokens"),
            (&mut self.cache_write, "cache_creation_input_tokens"),
            (&mut self.output, "output_tokens"),
        ];
        for (count, name) in members {
            *count = usage.count(name)?.unwrap_or(*count);
        }
        if let Some(details) = usage.optional_child("output_tokens_details")? {
            self.thinking = details.count("thinking_tokens")?.or(self.thinking);
        }
        Ok(())
    }

    /// Reads OpenAI's `usage` (`CompletionUsage`).
    pub(super) fn of_chat(usage: &Node<'_>) -> Read<Self> {
        let detail = |of: &str, name: &str| match usage.optional_child(of)? {
            Some(details) => details.count(name),
            None => Ok(None),
        };
        let cache_read = detail("prompt_tokens_details", "cached_tokens")?.unwrap_or(0);
        let cache_write = detail("prompt_tokens_details", "cache_write_tokens")?.unwrap_or(0);
        let prompt = usage.count("prompt_tokens")?.unwrap_or(0);
        Ok(Self {
            input: prompt.saturating_sub(cache_read).saturating_sub(cache_write),
            cache_read,
            cache_write,
            output: usage.count("completion_tokens")?.unwrap_or(0),
            thinking: detail("completion_tokens_details", "reasoning_tokens")?,
        })
    }

    /// As OpenAI's `usage`.
    pub(super) fn to_chat(self) -> Object {
        let prompt = self.input.saturating_add(self.cache_read).saturating_add(self.cache_write);
        let read =
            Object::new().with("cached_tokens", self.cache_read).with("cache_write_tokens", self.cache_write);
        let written = self.thinking.map(|thinking| Object::new().with("reasoning_tokens", thinking));
        Object::new()
            .with("prompt_tokens", prompt)
            .with("completion_tokens", self.output)
            .with("total_tokens", prompt.saturating_add(self.output))
            .with("prompt_tokens_details", read)
            .with_some("completion_tokens_details", written)
    }

    /// As Anthropic's `usage`.
    pub(super) fn to_messages(self) -> Object {
        let details = self.thinking.map(|thinking| Object::new().with("thinking_tokens", thinking));
        Object::new()
            .with("input_tokens", self.input)
            .with("cache_creation_input_tokens", self.cache_write)
            .with("cache_read_input_tokens", self.cache_read)
            .with("output_tokens", self.output)
            .with_some("output_tokens_details", details)
    }
}
