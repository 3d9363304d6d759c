//! Anthropic, messages and the counting of their tokens. As of the SDK's version 2.12.0, with what its `beta` has;
//! and with what the API has that this version of the SDK left out.

use super::Rule::{Cache, CacheTime, List, Needs, Object, Plain, Read, TextOr, Typed, Word};
use super::anthropic_blocks::{BLOCKS, TEXTS};
use super::anthropic_tools::TOOLS;
use super::{Field, Mark, Need, Rule, Types, Unlisted, Untyped, field, variant};

const CONTEXT_MANAGEMENT: Field =
    field("context_management", Object(&[field("edits", List(&Typed(&EDITS)))]));
const COMPACTION: Field = field("compaction", Needs(COMPACTS));
const MCP_SERVERS: Field = field("mcp_servers", Needs(Need::Hosted("mcp")));
const BILLING: Field =
    field("billing_policy", Needs(Need::Unbounded("somebody else is billed for what it costs")));
const MESSAGES: Field = field("messages", List(&MESSAGE));
const SYSTEM: Field = field("system", TextOr(&List(&Typed(&TEXTS))));
const TOOL_LIST: Field = field("tools", List(&Typed(&TOOLS)));
const OUTPUT: Field = field("output_config", Object(OUTPUT_CONFIG));
const SPEED: Field = field("speed", Word(&["standard", "fast"]));

/// The members of a request for an answer.
pub(super) const FIELDS: &[Field] = &[
    field("model", Read),
    field("max_tokens", Read),
    MESSAGES,
    SYSTEM,
    TOOL_LIST,
    field("tool_choice", Plain),
    field("stream", Read),
    field("metadata", Plain),
    field("temperature", Plain),
    field("top_p", Plain),
    field("top_k", Plain),
    field("stop_sequences", Plain),
    field("thinking", Object(THINKING)),
    OUTPUT,
    field("output_format", Plain),
    field("service_tier", Read),
    SPEED,
    field("inference_geo", Read),
    CACHE,
    CONTEXT_MANAGEMENT,
    field("diagnostics", Plain),
    // It makes the call cheaper or does nothing.
    field("fallback_credit_token", Plain),
    field("fallbacks", Needs(Need::Unbounded("other models may answer, at their prices"))),
    COMPACTION,
    BILLING,
    MCP_SERVERS,
    field("container", Needs(Need::Stored)),
    field("thread", Needs(Need::Stored)),
];

/// The members of a request for a count.
pub(super) const COUNT_FIELDS: &[Field] = &[
    field("model", Read),
    MESSAGES,
    SYSTEM,
    TOOL_LIST,
    field("tool_choice", Plain),
    field("thinking", Object(THINKING)),
    OUTPUT,
    field("output_format", Plain),
    SPEED,
    CACHE,
    CONTEXT_MANAGEMENT,
    COMPACTION,
    BILLING,
    MCP_SERVERS,
];

/// Anthropic's mark up to which to cache.
pub(super) const CACHE: Field = field(
    "cache_control",
    Cache(&[field("type", Word(&["ephemeral"])), field("ttl", CacheTime), field("scope", Plain)]),
);

const COMPACTS: Need =
    Need::Unbounded("the provider reads and writes the conversation once more to compact it");

const OUTPUT_CONFIG: &[Field] =
    &[field("effort", Plain), field("format", Plain), field("task_budget", Plain)];

const THINKING: &[Field] = &[
    field("type", Word(&["enabled", "disabled", "adaptive", "between_tools"])),
    field("budget_tokens", Read),
    field("display", Plain),
    field("block_binding", Plain),
];

const EDITS: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant(
            "clear_tool_uses_20250919",
            Mark::Text,
            &[
                field("trigger", Plain),
                field("keep", Plain),
                field("clear_at_least", Plain),
                field("clear_tool_inputs", Plain),
                field("exclude_tools", Plain),
            ],
        ),
        variant("clear_thinking_20251015", Mark::Text, &[field("keep", Plain)]),
        variant(
            "compact_20260112",
            Mark::Needs(COMPACTS),
            &[field("instructions", Plain), field("pause_after_compaction", Plain), field("trigger", Plain)],
        ),
    ],
};

const MESSAGE: Rule = Object(&[
    field("role", Word(&["user", "assistant", "system"])),
    field("content", TextOr(&List(&Typed(&BLOCKS)))),
]);
