//! OpenAI, responses. As of the SDK's version 3.54.0.

use super::Rule::{Cache, List, Needs, Object, Plain, Read, TextOr, Typed, Word};
use super::chat::CACHE_OPTIONS;
use super::openai_items::ITEMS;
use super::openai_tools::TOOLS;
use super::{Field, Need, field};

/// The members of a request.
pub(super) const FIELDS: &[Field] = &[
    field("model", Read),
    field("input", TextOr(&List(&Typed(&ITEMS)))),
    field("instructions", Plain),
    field("tools", List(&Typed(&TOOLS))),
    field("stream", Read),
    field("stream_options", Object(&[field("include_obfuscation", Plain)])),
    field("max_output_tokens", Read),
    field("max_tool_calls", Read),
    field("reasoning", Object(REASONING)),
    field("text", Object(&[field("format", Plain), field("verbosity", Plain)])),
    field("include", Plain),
    field("tool_choice", Plain),
    field("parallel_tool_calls", Plain),
    field("temperature", Plain),
    field("top_p", Plain),
    field("top_logprobs", Read),
    field("truncation", Plain),
    field("service_tier", Read),
    field("metadata", Plain),
    field("user", Plain),
    field("safety_identifier", Plain),
    field("prompt_cache_key", Plain),
    field("prompt_cache_options", Cache(CACHE_OPTIONS)),
    field("prompt_cache_retention", Plain),
    field("access_programs", Plain),
    field("image", Object(&[field("context_compression", Plain)])),
    // Moderation is free of charge.
    field("moderation", Plain),
    field("store", Needs(Need::Kept)),
    field("background", Needs(Need::Kept)),
    field("background_options", Needs(Need::Kept)),
    field("previous_response_id", Needs(Need::Stored)),
    field("conversation", Needs(Need::Stored)),
    field("prompt", Needs(Need::Stored)),
    field(
        "context_management",
        Needs(Need::Unbounded("the provider reads and writes the conversation once more to compact it")),
    ),
];

const REASONING: &[Field] = &[
    field("effort", Plain),
    field("summary", Plain),
    field("generate_summary", Plain),
    field("context", Plain),
    // How much `pro` writes beyond the limit is nowhere said.
    field("mode", Word(&["standard"])),
];
