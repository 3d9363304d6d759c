//! OpenAI, the input items of the responses API. As of the SDK's version 3.54.0.

use super::Rule::{ImageData, ImageUrl, List, Needs, Object, Plain, TextOr, Typed, Word};
use super::openai_tools::TOOLS;
use super::parts::CONTENT;
use super::{Field, Mark, Need, Rule, Types, Unlisted, Untyped, field, variant};

const ID: Field = field("id", Plain);
const CALL_ID: Field = field("call_id", Plain);
const STATUS: Field = field("status", Plain);
const CALLER: Field = field("caller", Plain);
const CREATED_BY: Field = field("created_by", Plain);
const NAME: Field = field("name", Plain);
const NAMESPACE: Field = field("namespace", Plain);
const ARGUMENTS: Field = field("arguments", Plain);
const ACTION: Field = field("action", Plain);
const LABEL: Field = field("server_label", Plain);
const OUTPUT: Rule = TextOr(&List(&CONTENT));

/// The items that a request may consist of.
pub(super) const ITEMS: Types = Types {
    untyped: Untyped::Item,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("message", Mark::Text, MESSAGE),
        variant(
            "function_call",
            Mark::Text,
            &[ID, CALL_ID, NAME, ARGUMENTS, STATUS, NAMESPACE, CALLER, field("async", Plain)],
        ),
        variant(
            "function_call_output",
            Mark::Text,
            &[ID, CALL_ID, field("output", OUTPUT), STATUS, NAME, NAMESPACE, CALLER, CREATED_BY],
        ),
        variant("reasoning", Mark::Reference("encrypted_content"), REASONING),
        variant(
            "custom_tool_call",
            Mark::Text,
            &[ID, CALL_ID, NAME, field("input", Plain), NAMESPACE, CALLER, STATUS, field("async", Plain)],
        ),
        variant(
            "custom_tool_call_output",
            Mark::Text,
            &[ID, CALL_ID, field("output", OUTPUT), STATUS, CALLER],
        ),
        variant("local_shell_call", Mark::Text, &[ID, CALL_ID, ACTION, STATUS]),
        variant("local_shell_call_output", Mark::Text, &[ID, CALL_ID, field("output", Plain), STATUS]),
        variant(
            "shell_call",
            Mark::Text,
            &[ID, CALL_ID, ACTION, STATUS, CALLER, CREATED_BY, field("environment", Plain)],
        ),
        variant(
            "shell_call_output",
            Mark::Text,
            &[
                ID,
                CALL_ID,
                field("output", Plain),
                STATUS,
                CALLER,
                CREATED_BY,
                field("max_output_length", Plain),
            ],
        ),
        variant(
            "apply_patch_call",
            Mark::Text,
            &[ID, CALL_ID, field("operation", Plain), STATUS, CALLER, CREATED_BY],
        ),
        variant(
            "apply_patch_call_output",
            Mark::Text,
            &[ID, CALL_ID, field("output", Plain), STATUS, CALLER, CREATED_BY],
        ),
        variant(
            "computer_call",
            Mark::Text,
            &[ID, CALL_ID, ACTION, field("actions", Plain), field("pending_safety_checks", Plain), STATUS],
        ),
        variant(
            "computer_call_output",
            Mark::Image,
            &[
                ID,
                CALL_ID,
                field("output", Object(SCREENSHOT)),
                field("acknowledged_safety_checks", Plain),
                STATUS,
                CREATED_BY,
            ],
        ),
        variant(
            "tool_search_call",
            Mark::Text,
            &[ID, CALL_ID, ARGUMENTS, field("execution", Plain), STATUS, CREATED_BY],
        ),
        variant(
            "tool_search_output",
            Mark::Text,
            &[
                ID,
                CALL_ID,
                field("tools", List(&Typed(&TOOLS))),
                field("execution", Plain),
                STATUS,
                CREATED_BY,
            ],
        ),
        variant(
            "additional_tools",
            Mark::Text,
            &[ID, field("role", Plain), field("tools", List(&Typed(&TOOLS)))],
        ),
        variant(
            "configuration_update",
            Mark::Text,
            &[ID, field("reasoning", Object(&[field("effort", Plain)])), field("text", Plain)],
        ),
        // What hosted tools did before, sent back.
        variant("web_search_call", Mark::Text, &[ID, ACTION, STATUS]),
        variant(
            "file_search_call",
            Mark::Text,
            &[ID, field("queries", Plain), field("results", Plain), STATUS],
        ),
        variant(
            "code_interpreter_call",
            Mark::Text,
            &[ID, field("code", Plain), field("container_id", Plain), field("outputs", Plain), STATUS],
        ),
        variant("image_generation_call", Mark::Image, IMAGE),
        variant("mcp_list_tools", Mark::Text, &[ID, LABEL, field("tools", Plain), field("error", Plain)]),
        variant("mcp_call", Mark::Text, MCP_CALL),
        variant("mcp_approval_request", Mark::Text, &[ID, ARGUMENTS, NAME, LABEL]),
        variant("program", Mark::Text, &[ID, CALL_ID, field("code", Plain), field("fingerprint", Plain)]),
        variant("program_output", Mark::Text, &[ID, CALL_ID, field("result", Plain), STATUS]),
        // What makes the provider do more than answer.
        variant(
            "mcp_approval_response",
            Mark::Needs(Need::Hosted("mcp")),
            &[ID, field("approval_request_id", Plain), field("approve", Plain), field("reason", Plain)],
        ),
        variant("item_reference", Mark::Needs(Need::Stored), &[ID]),
        variant("compaction", Mark::Opaque, &[ID, field("encrypted_content", Plain), CREATED_BY]),
        variant(
            "compaction_trigger",
            Mark::Needs(Need::Unbounded(
                "the provider reads and writes the conversation once more to compact it",
            )),
            &[ID],
        ),
    ],
};

const MESSAGE: &[Field] = &[
    field("role", Word(&["user", "assistant", "system", "developer"])),
    field("content", TextOr(&List(&CONTENT))),
    ID,
    STATUS,
    field("phase", Plain),
];

const REASONING: &[Field] =
    &[ID, field("summary", Plain), field("content", Plain), field("encrypted_content", Plain), STATUS];

const SCREENSHOT: &[Field] =
    &[field("type", Plain), field("image_url", ImageUrl), field("file_id", Needs(Need::Stored))];

const IMAGE: &[Field] = &[
    ID,
    field("result", ImageData),
    STATUS,
    ACTION,
    field("background", Plain),
    field("error", Plain),
    field("output_format", Plain),
    field("quality", Plain),
    field("revised_prompt", Plain),
    field("size", Plain),
    field("svg_usage", Plain),
];

const MCP_CALL: &[Field] = &[
    ID,
    ARGUMENTS,
    NAME,
    LABEL,
    field("approval_request_id", Plain),
    field("error", Plain),
    field("output", Plain),
    STATUS,
];
