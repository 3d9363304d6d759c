//! OpenAI, chat completions. As of the SDK's version 3.54.0.

use super::Rule::{Cache, CacheTime, ImageUrl, List, Needs, Object, Plain, Read, TextOr, Typed, Word};
use super::parts::BREAKPOINT;
use super::{Field, Mark, Need, Rule, Types, Unlisted, Untyped, field, variant};

/// The members of a request.
pub(super) const FIELDS: &[Field] = &[
    field("model", Read),
    field("messages", List(&MESSAGE)),
    field("tools", List(&TOOL)),
    field("stream", Read),
    field("stream_options", Object(STREAM_OPTIONS)),
    field("max_completion_tokens", Read),
    field("max_tokens", Read),
    field("n", Read),
    field("temperature", Plain),
    field("top_p", Plain),
    field("tool_choice", Plain),
    field("response_format", Plain),
    field("parallel_tool_calls", Plain),
    field("reasoning_effort", Read),
    field("service_tier", Read),
    field("user", Plain),
    field("metadata", Plain),
    field("seed", Plain),
    field("stop", Plain),
    field("frequency_penalty", Plain),
    field("presence_penalty", Plain),
    field("logit_bias", Plain),
    field("logprobs", Read),
    field("top_logprobs", Plain),
    field("verbosity", Plain),
    field("modalities", List(&Word(&["text"]))),
    field("audio", Needs(Need::Unbounded("audio has tokens and prices of its own"))),
    // What is predicted and not used is written, and paid, all the same.
    field("prediction", Read),
    field("functions", List(&Typed(&FUNCTIONS))),
    field("function_call", Plain),
    // Moderation is free of charge.
    field("moderation", Plain),
    field("safety_identifier", Plain),
    field("prompt_cache_key", Plain),
    field("prompt_cache_options", Cache(CACHE_OPTIONS)),
    field("prompt_cache_retention", Plain),
    field("store", Needs(Need::Kept)),
    field("web_search_options", Needs(Need::Hosted("web_search"))),
];

const STREAM_OPTIONS: &[Field] = &[field("include_usage", Read), field("include_obfuscation", Plain)];

/// What a request says about caching as a whole.
pub(super) const CACHE_OPTIONS: &[Field] = &[
    field("mode", Plain),
    field("ttl", CacheTime),
    field("prewarm", Plain),
    field("comparison_response_id", Plain),
];

const MESSAGE: Rule = Object(&[
    field("role", Word(&["system", "developer", "user", "assistant", "tool", "function"])),
    field("content", TextOr(&List(&Typed(&PARTS)))),
    field("name", Plain),
    field("tool_calls", List(&Typed(&CALLS))),
    field("tool_call_id", Plain),
    field("function_call", Object(CALLED)),
    field("refusal", Plain),
    // Clients that send an answer back send what it came with.
    field("annotations", Plain),
    field("reasoning_content", Plain),
    // What OpenAI's own client read out of it.
    field("parsed", Plain),
    field("audio", Needs(Need::Stored)),
]);

const PARTS: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("text", Mark::Text, &[field("text", Plain), BREAKPOINT]),
        variant("refusal", Mark::Text, &[field("refusal", Plain)]),
        variant(
            "image_url",
            Mark::Image,
            &[field("image_url", Object(&[field("url", ImageUrl), field("detail", Plain)])), BREAKPOINT],
        ),
        variant(
            "input_audio",
            Mark::Needs(Need::Unbounded("audio has tokens and prices of its own")),
            &[field("input_audio", Plain), BREAKPOINT],
        ),
        variant(
            "file",
            Mark::Needs(Need::Unbounded("a file can come to more tokens than it has bytes")),
            &[
                field(
                    "file",
                    Object(&[
                        field("file_data", Plain),
                        field("file_id", Needs(Need::Stored)),
                        field("filename", Plain),
                    ]),
                ),
                BREAKPOINT,
            ],
        ),
    ],
};

const CALLED: &[Field] = &[field("name", Plain), field("arguments", Plain), field("parsed_arguments", Plain)];

const CALLS: Types = Types {
    untyped: Untyped::Means("function"),
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("function", Mark::Text, &[field("id", Plain), field("function", Object(CALLED))]),
        variant(
            "custom",
            Mark::Text,
            &[field("id", Plain), field("custom", Object(&[field("name", Plain), field("input", Plain)]))],
        ),
    ],
};

const DEFINITION: &[Field] =
    &[field("name", Plain), field("description", Plain), field("parameters", Plain), field("strict", Plain)];

const TOOL: Rule = Typed(&Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Hosted,
    variants: &[
        variant("function", Mark::Tool(&["function", "name"], 0), &[field("function", Object(DEFINITION))]),
        variant(
            "custom",
            Mark::Tool(&["custom", "name"], 0),
            &[field(
                "custom",
                Object(&[field("name", Plain), field("description", Plain), field("format", Plain)]),
            )],
        ),
    ],
});

/// The functions of old, which have no type.
const FUNCTIONS: Types = Types {
    untyped: Untyped::Means("function"),
    unlisted: Unlisted::Unknown,
    variants: &[variant("function", Mark::Tool(&["name"], 0), DEFINITION)],
};
