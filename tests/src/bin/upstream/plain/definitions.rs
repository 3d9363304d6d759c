//! The tools of the hand-written server.

use serde_json::{Value, json};

/// Each tool and what it does.
const TOOLS: &[&str] = &[
    "echo",
    "record",
    "record_asked",
    "slow",
    "wait",
    "hang",
    "hang_in_stream",
    "garbage",
    "not_json_rpc",
    "huge",
    "huge_event",
    "huge_chunked",
    "wrong_id",
    "duplicate_keys",
    "cut_stream",
    "cut_body",
    "after_cancellation",
    "invalid_structured",
    "server_error",
    "redirect",
    "wrong_type",
    "batch",
    "deep",
    "two_results",
    "endless",
];

/// `tools/list`, with the description that holds now.
pub fn list(description: &str) -> Value {
    TOOLS.iter().map(|name| definition(name, description)).collect()
}

fn definition(name: &str, description: &str) -> Value {
    let mut tool = json!({
        "name": name,
        "description": description,
        "annotations": { "readOnlyHint": !name.starts_with("record") },
        "inputSchema": {
            "type": "object",
            "properties": {
                "text": { "type": "string" },
                "id": { "type": "string" },
                "events": { "type": "integer", "minimum": 0 },
                "pause_ms": { "type": "integer", "minimum": 0 },
            },
            "additionalProperties": false,
        },
    });
    if name == "invalid_structured" {
        tool["outputSchema"] = json!({ "type": "object", "properties": { "count": { "type": "integer" } }, "required": ["count"] });
    }
    tool
}
