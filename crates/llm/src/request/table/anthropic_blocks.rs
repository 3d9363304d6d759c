//! Anthropic, what the content of messages consists of. As of the SDK's version 2.12.0.

use super::Rule::{DocumentData, ImageData, List, Plain, TextOr, Typed};
use super::anthropic_tools::TOOLS;
use super::messages::CACHE;
use super::{Field, Mark, Need, Types, Unlisted, Untyped, Variant, field, variant};

const ID: Field = field("tool_use_id", Plain);
const CONTENT: Field = field("content", Plain);
const CITATIONS: Field = field("citations", Plain);
const CALLER: Field = field("caller", Plain);

const TEXT: Variant = variant("text", Mark::Text, &[field("text", Plain), CACHE, CITATIONS]);
const IMAGE: Variant = variant(
    "image",
    Mark::Image,
    &[field("source", Typed(&IMAGE_SOURCES)), CACHE, field("transformations", Plain)],
);
const DOCUMENT: Variant = variant(
    "document",
    Mark::Document,
    &[
        field("source", Typed(&DOCUMENT_SOURCES)),
        field("title", Plain),
        field("context", Plain),
        CITATIONS,
        CACHE,
    ],
);
const SEARCH_RESULT: Variant = variant(
    "search_result",
    Mark::Text,
    &[
        field("content", List(&Typed(&TEXTS))),
        field("source", Plain),
        field("title", Plain),
        CITATIONS,
        CACHE,
    ],
);
const REFERENCE: Variant = variant("tool_reference", Mark::Text, &[field("tool_name", Plain), CACHE]);
const BROWSER_STATE: Variant =
    variant("browser_state", Mark::Text, &[field("tabs", Plain), field("state_changes", Plain), CACHE]);

/// Texts and nothing else.
pub(super) const TEXTS: Types =
    Types { untyped: Untyped::Refused, unlisted: Unlisted::Unknown, variants: &[TEXT] };

/// The blocks that a message may consist of.
pub(super) const BLOCKS: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        TEXT,
        variant(
            "tool_use",
            Mark::Text,
            &[
                field("id", Plain),
                field("name", Plain),
                field("input", Plain),
                CACHE,
                CALLER,
                field("toolset_name", Plain),
            ],
        ),
        variant(
            "tool_result",
            Mark::Text,
            &[
                ID,
                field("content", TextOr(&List(&Typed(&RESULTS)))),
                field("is_error", Plain),
                CACHE,
                field("toolset_name", Plain),
            ],
        ),
        variant("thinking", Mark::Text, &[field("thinking", Plain), field("signature", Plain)]),
        variant("redacted_thinking", Mark::Text, &[field("data", Plain)]),
        IMAGE,
        DOCUMENT,
        SEARCH_RESULT,
        // What hosted tools did before, sent back.
        variant(
            "server_tool_use",
            Mark::Text,
            &[field("id", Plain), field("name", Plain), field("input", Plain), CACHE, CALLER],
        ),
        variant("web_search_tool_result", Mark::Opaque, &[ID, CONTENT, CACHE, CALLER]),
        variant("web_fetch_tool_result", Mark::Text, &[ID, field("content", Typed(&FETCHED)), CACHE, CALLER]),
        variant("code_execution_tool_result", Mark::Text, &[ID, CONTENT, CACHE]),
        variant("bash_code_execution_tool_result", Mark::Text, &[ID, CONTENT, CACHE]),
        variant("text_editor_code_execution_tool_result", Mark::Text, &[ID, CONTENT, CACHE]),
        variant("tool_search_tool_result", Mark::Text, &[ID, CONTENT, CACHE]),
        variant("advisor_tool_result", Mark::Opaque, &[ID, CONTENT, CACHE]),
        variant(
            "mcp_tool_use",
            Mark::Text,
            &[
                field("id", Plain),
                field("name", Plain),
                field("server_name", Plain),
                field("input", Plain),
                CACHE,
            ],
        ),
        variant(
            "mcp_tool_result",
            Mark::Text,
            &[ID, field("content", TextOr(&List(&Typed(&TEXTS)))), field("is_error", Plain), CACHE],
        ),
        variant("mcp_tool_listing", Mark::Text, &[field("mcp_server_name", Plain), field("tools", Plain)]),
        variant(
            "compaction",
            Mark::Opaque,
            &[
                CONTENT,
                CACHE,
                field("encrypted_content", Plain),
                field("signature", Plain),
                field("tool_changes", Plain),
            ],
        ),
        variant("fallback", Mark::Text, &[field("from", Plain), field("to", Plain), field("trigger", Plain)]),
        variant("tool_addition", Mark::Text, &[field("tool", Typed(&CHANGES)), CACHE]),
        variant("tool_removal", Mark::Text, &[field("tool", Plain), CACHE]),
        variant("container_upload", Mark::Needs(Need::Stored), &[field("file_id", Plain), CACHE]),
    ],
};

/// What a tool may answer with.
const RESULTS: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[TEXT, IMAGE, DOCUMENT, SEARCH_RESULT, REFERENCE, BROWSER_STATE],
};

const STORED_FILE: Variant = variant("file", Mark::Needs(Need::Stored), &[field("file_id", Plain)]);

const IMAGE_SOURCES: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("base64", Mark::Text, &[field("media_type", Plain), field("data", ImageData)]),
        variant("url", Mark::Needs(Need::RemoteImage), &[field("url", Plain)]),
        STORED_FILE,
    ],
};

const DOCUMENT_SOURCES: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("text", Mark::Text, &[field("media_type", Plain), field("data", Plain)]),
        variant("base64", Mark::Opaque, &[field("media_type", Plain), field("data", DocumentData)]),
        variant("content", Mark::Text, &[field("content", TextOr(&List(&Typed(&INLINE))))]),
        variant("url", Mark::Needs(Need::Remote), &[field("url", Plain)]),
        STORED_FILE,
    ],
};

const INLINE: Types =
    Types { untyped: Untyped::Refused, unlisted: Unlisted::Unknown, variants: &[TEXT, IMAGE] };

const FETCHED: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant(
            "web_fetch_result",
            Mark::Text,
            &[field("url", Plain), field("retrieved_at", Plain), field("content", Typed(&DOCUMENTS))],
        ),
        variant("web_fetch_tool_result_error", Mark::Text, &[field("error_code", Plain)]),
    ],
};

const DOCUMENTS: Types =
    Types { untyped: Untyped::Refused, unlisted: Unlisted::Unknown, variants: &[DOCUMENT] };

/// A tool that is made available in the middle of a conversation: one declared elsewhere, or one declared here.
const CHANGES: Types = Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("tool_reference", Mark::Text, &[field("name", Plain)]),
        variant("mcp_tool_reference", Mark::Text, &[field("name", Plain), field("server_name", Plain)]),
        variant("mcp_toolset_reference", Mark::Text, &[field("server_name", Plain)]),
        variant("tool_definition", Mark::Text, &[field("definition", Typed(&TOOLS))]),
    ],
};
