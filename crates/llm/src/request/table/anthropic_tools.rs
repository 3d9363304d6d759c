//! Anthropic, the tools that a request may declare. As of the SDK's version 2.12.0.

use super::Rule::{Plain, Read};
use super::messages::CACHE;
use super::{Field, Mark, Need, Types, Unlisted, Untyped, Variant, field, variant};

/// A tool that the provider describes by itself.
const OWN: u64 = 1;
/// A set of twenty or thirty small ones, as so many: what is published for one tool lies far below what is reserved
/// for it.
const SET: u64 = 10;

const NAME: Field = field("name", Plain);
const CALLERS: Field = field("allowed_callers", Plain);
const DEFER: Field = field("defer_loading", Plain);
const STRICT: Field = field("strict", Plain);
const EXAMPLES: Field = field("input_examples", Plain);
const CONFIGS: Field = field("configs", Plain);
const USES: Field = field("max_uses", Read);

/// The tools that a request may declare.
pub(super) const TOOLS: Types = Types {
    untyped: Untyped::Means("custom"),
    unlisted: Unlisted::Hosted,
    variants: &[
        variant(
            "custom",
            Mark::Tool(&["name"], 0),
            &[
                NAME,
                field("description", Plain),
                field("input_schema", Plain),
                CACHE,
                STRICT,
                DEFER,
                CALLERS,
                EXAMPLES,
                field("eager_input_streaming", Plain),
            ],
        ),
        local("bash_*", &[NAME, CACHE, STRICT, DEFER, CALLERS, EXAMPLES]),
        local("memory_*", &[NAME, CACHE, STRICT, DEFER, CALLERS, EXAMPLES]),
        local(
            "text_editor_*",
            &[NAME, CACHE, STRICT, DEFER, CALLERS, EXAMPLES, field("max_characters", Plain)],
        ),
        local("computer_*", COMPUTER),
        variant("computer_toolset_*", Mark::Tool(&["name"], SET), &[CACHE, CONFIGS]),
        variant("browser_toolset_*", Mark::Tool(&["name"], SET), &[CACHE, CONFIGS]),
        hosted("web_search_*", "web_search", WEB),
        hosted("web_fetch_*", "web_fetch", WEB),
        hosted("code_execution_*", "code_execution", &[NAME, CACHE, STRICT, DEFER, CALLERS]),
        hosted("tool_search_tool_regex", "tool_search", SEARCH),
        hosted("tool_search_tool_regex_*", "tool_search", SEARCH),
        hosted("tool_search_tool_bm25", "tool_search", SEARCH),
        hosted("tool_search_tool_bm25_*", "tool_search", SEARCH),
        hosted(
            "mcp_toolset",
            "mcp",
            &[
                field("mcp_server_name", Plain),
                field("tools", Plain),
                field("default_config", Plain),
                CONFIGS,
                CACHE,
            ],
        ),
        variant(
            "advisor_*",
            Mark::Needs(Need::Unbounded("another model is asked, at its prices")),
            &[
                NAME,
                field("model", Plain),
                field("max_tokens", Plain),
                USES,
                field("caching", Plain),
                CACHE,
                STRICT,
                DEFER,
                CALLERS,
            ],
        ),
    ],
};

const SEARCH: &[Field] = &[NAME, CACHE, STRICT, DEFER, CALLERS];

const COMPUTER: &[Field] = &[
    NAME,
    field("display_width_px", Plain),
    field("display_height_px", Plain),
    field("display_number", Plain),
    field("enable_zoom", Plain),
    CACHE,
    STRICT,
    DEFER,
    CALLERS,
    EXAMPLES,
];

const WEB: &[Field] = &[
    NAME,
    USES,
    field("allowed_domains", Plain),
    field("blocked_domains", Plain),
    field("user_location", Plain),
    field("citations", Plain),
    field("max_content_tokens", Plain),
    field("response_inclusion", Plain),
    field("url_sources", Plain),
    field("use_cache", Plain),
    CACHE,
    STRICT,
    DEFER,
    CALLERS,
];

/// A tool that runs at the client.
const fn local(name: &'static str, fields: &'static [Field]) -> Variant {
    variant(name, Mark::Tool(&["name"], OWN), fields)
}

/// A tool that the provider hosts, by the name it has in `hosted_tools`.
const fn hosted(name: &'static str, family: &'static str, fields: &'static [Field]) -> Variant {
    variant(name, Mark::Needs(Need::Hosted(family)), fields)
}
