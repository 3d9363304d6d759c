//! OpenAI, the tools of the responses API. As of the SDK's version 3.54.0.

use super::Rule::{List, Needs, Object, Plain, Typed};
use super::{Field, Mark, Need, Types, Unlisted, Untyped, Variant, field, variant};

/// A tool that the provider describes by itself.
const OWN: u64 = 1;

/// The tools that a request may declare.
pub(super) const TOOLS: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Hosted,
    variants: &[
        variant("function", Mark::Tool(&["name"], 0), FUNCTION),
        variant("custom", Mark::Tool(&["name"], 0), CUSTOM),
        variant(
            "namespace",
            Mark::Text,
            &[field("name", Plain), field("description", Plain), field("tools", List(&Typed(&INNER)))],
        ),
        variant("local_shell", Mark::Tool(&["name"], OWN), &[]),
        variant("apply_patch", Mark::Tool(&["name"], OWN), &[CALLERS]),
        variant("shell", Mark::Tool(&["name"], OWN), &[CALLERS, field("environment", Typed(&ENVIRONMENTS))]),
        hosted("web_search", "web_search", WEB_SEARCH),
        hosted("web_search_2025_08_26", "web_search", WEB_SEARCH),
        hosted("web_search_preview", "web_search", WEB_SEARCH),
        hosted("web_search_preview_2025_03_11", "web_search", WEB_SEARCH),
        hosted(
            "file_search",
            "file_search",
            &[
                field("vector_store_ids", Plain),
                field("filters", Plain),
                field("max_num_results", Plain),
                field("ranking_options", Plain),
            ],
        ),
        hosted("code_interpreter", "code_interpreter", &[CALLERS, field("container", Plain)]),
        hosted("mcp", "mcp", MCP),
        hosted("image_generation", "image_generation", IMAGE_GENERATION),
        hosted("computer", "computer_use", &[]),
        hosted("computer_use_preview", "computer_use", COMPUTER),
        hosted("programmatic_tool_calling", "programmatic_tool_calling", &[]),
        hosted(
            "tool_search",
            "tool_search",
            &[field("description", Plain), field("execution", Plain), field("parameters", Plain)],
        ),
    ],
};

/// The tools that a namespace may declare.
const INNER: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Hosted,
    variants: &[
        variant("function", Mark::Tool(&["name"], 0), FUNCTION),
        variant("custom", Mark::Tool(&["name"], 0), CUSTOM),
    ],
};

/// Where a shell runs: at the client, or in a container of the provider.
const ENVIRONMENTS: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Hosted,
    variants: &[
        variant("local", Mark::Text, &[field("skills", Plain)]),
        hosted(
            "container_auto",
            "code_execution",
            &[
                field("file_ids", Needs(Need::Stored)),
                field("memory_limit", Plain),
                field("network_policy", Plain),
                field("skills", Plain),
            ],
        ),
        hosted("container_reference", "code_execution", &[field("container_id", Needs(Need::Stored))]),
    ],
};

const CALLERS: Field = field("allowed_callers", Plain);

const FUNCTION: &[Field] = &[
    field("name", Plain),
    field("description", Plain),
    field("parameters", Plain),
    field("strict", Plain),
    field("defer_loading", Plain),
    field("output_schema", Plain),
    field("async", Plain),
    CALLERS,
];

const CUSTOM: &[Field] = &[
    field("name", Plain),
    field("description", Plain),
    field("format", Plain),
    field("defer_loading", Plain),
    field("async", Plain),
    CALLERS,
];

const WEB_SEARCH: &[Field] = &[
    field("external_web_access", Plain),
    field("filters", Plain),
    field("search_content_types", Plain),
    field("search_context_size", Plain),
    field("user_location", Plain),
];

const MCP: &[Field] = &[
    field("server_label", Plain),
    field("server_url", Plain),
    field("server_description", Plain),
    field("connector_id", Plain),
    field("tunnel_id", Plain),
    field("authorization", Plain),
    field("headers", Plain),
    field("allowed_tools", Plain),
    field("require_approval", Plain),
    field("defer_loading", Plain),
    CALLERS,
];

const IMAGE_GENERATION: &[Field] = &[
    field("action", Plain),
    field("background", Plain),
    field("complexity", Plain),
    field("frame_count", Plain),
    field("frame_duration_ms", Plain),
    field("input_fidelity", Plain),
    field("input_image_mask", Object(MASK)),
    field("model", Plain),
    field("moderation", Plain),
    field("output_compression", Plain),
    field("output_format", Plain),
    field("partial_images", Plain),
    field("quality", Plain),
    field("size", Plain),
    field("svg", Plain),
];

const MASK: &[Field] = &[field("image_url", super::Rule::ImageUrl), field("file_id", Needs(Need::Stored))];

const COMPUTER: &[Field] =
    &[field("display_height", Plain), field("display_width", Plain), field("environment", Plain)];

/// A tool that the provider hosts, by the name it has in `hosted_tools`.
const fn hosted(name: &'static str, family: &'static str, fields: &'static [Field]) -> Variant {
    variant(name, Mark::Needs(Need::Hosted(family)), fields)
}
