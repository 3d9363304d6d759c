//! Anthropic's messages.

use std::fmt::Write as _;

use super::list;
use crate::said::{Block, Finish, Kind, Piece, Said, quoted};

/// An error in the middle of a stream.
pub const TROUBLE: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":\"req_mock\"}\n\n";

/// What a thought is signed with.
const SIGNATURE: &str = "bW9jaw==";

/// A whole answer.
pub fn whole(said: &Said) -> String {
    let blocks = list(said.blocks.iter().map(|block| {
        let text = said.whole(block);
        match &block.kind {
            Kind::Thinking => {
                format!(r#"{{"type":"thinking","thinking":{},"signature":"{SIGNATURE}"}}"#, quoted(&text))
            }
            Kind::Text => format!(r#"{{"type":"text","text":{}}}"#, quoted(&text)),
            Kind::Tool { .. } => tool(said, block, &text),
        }
    }));
    let usage = if said.usage_times > 0 {
        format!(r#","usage":{}"#, usage(said, said.usage.output))
    } else {
        String::new()
    };
    let mut text = head(said);
    let _ =
        write!(text, r#","content":{blocks},"stop_reason":{},"stop_sequence":null{usage}}}"#, finish(said));
    text
}

/// What a stream begins with.
pub fn opening(said: &Said) -> String {
    // A lie about the output is told at the end; with no usage at all, it is missing here as well.
    let usage = if said.usage_times > 0 { format!(r#","usage":{}"#, usage(said, 1)) } else { String::new() };
    format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{},\"content\":[],\"stop_reason\":null,\"stop_sequence\":null{usage}}}}}\n\n",
        head(said)
    )
}

/// A piece, with what begins and ends its block.
pub fn piece(said: &Said, piece: Piece) -> String {
    let (at, text) = (piece.at, said.text(piece));
    let mut events = String::new();
    if piece.is_first() {
        let block = match &piece.block.kind {
            Kind::Thinking => r#"{"type":"thinking","thinking":"","signature":""}"#.to_owned(),
            Kind::Text => r#"{"type":"text","text":""}"#.to_owned(),
            Kind::Tool { .. } => tool(said, piece.block, "{}"),
        };
        event(&mut events, "content_block_start", &format!(r#","index":{at},"content_block":{block}"#));
        if at == 0 {
            events.push_str("event: ping\ndata: {\"type\":\"ping\"}\n\n");
        }
    }
    let delta = match &piece.block.kind {
        Kind::Thinking => format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, quoted(&text)),
        Kind::Text => format!(r#"{{"type":"text_delta","text":{}}}"#, quoted(&text)),
        Kind::Tool { .. } => format!(r#"{{"type":"input_json_delta","partial_json":{}}}"#, quoted(&text)),
    };
    event(&mut events, "content_block_delta", &format!(r#","index":{at},"delta":{delta}"#));
    if piece.is_last() {
        if piece.block.kind == Kind::Thinking {
            let delta = format!(r#"{{"type":"signature_delta","signature":"{SIGNATURE}"}}"#);
            event(&mut events, "content_block_delta", &format!(r#","index":{at},"delta":{delta}"#));
        }
        event(&mut events, "content_block_stop", &format!(r#","index":{at}"#));
    }
    events
}

/// What a stream ends with.
pub fn closing(said: &Said) -> String {
    let mut events = String::new();
    let (finish, output) = (finish(said), said.usage.output);
    let delta = format!(r#","delta":{{"stop_reason":{finish},"stop_sequence":null}}"#);
    if said.usage_times == 0 {
        event(&mut events, "message_delta", &delta);
    }
    for _ in 0..said.usage_times {
        let usage = said.usage;
        event(
            &mut events,
            "message_delta",
            &format!(
                r#"{delta},"usage":{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"output_tokens":{output}}}"#,
                uncached(said),
                usage.cache_write,
                usage.cached
            ),
        );
    }
    if !said.no_done {
        event(&mut events, "message_stop", "");
    }
    events
}

fn event(events: &mut String, kind: &str, members: &str) {
    let _ = write!(events, "event: {kind}\ndata: {{\"type\":\"{kind}\"{members}}}\n\n");
}

fn head(said: &Said) -> String {
    format!(
        r#"{{"id":"msg_mock{:08}","type":"message","role":"assistant","model":{}"#,
        said.number, said.model
    )
}

fn tool(said: &Said, block: &Block, input: &str) -> String {
    let Kind::Tool { name, call } = &block.kind else { return String::new() };
    // A limit may have cut the arguments; a whole answer has an object all the same.
    let input = if serde_json::from_str::<serde::de::IgnoredAny>(input).is_ok() { input } else { "{}" };
    format!(
        r#"{{"type":"tool_use","id":"toolu_mock{:08}_{call}","name":{},"input":{input}}}"#,
        said.number,
        quoted(name)
    )
}

fn finish(said: &Said) -> String {
    let word = match &said.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Other(word) => word,
    };
    quoted(word)
}

/// Input that came from no cache and went to none: Anthropic counts the three apart.
fn uncached(said: &Said) -> u32 {
    said.usage.input.saturating_sub(said.usage.cached).saturating_sub(said.usage.cache_write)
}

fn usage(said: &Said, output: u32) -> String {
    let usage = said.usage;
    format!(
        r#"{{"input_tokens":{},"cache_creation_input_tokens":{write},"cache_read_input_tokens":{},"cache_creation":{{"ephemeral_5m_input_tokens":{write},"ephemeral_1h_input_tokens":0}},"output_tokens":{output},"service_tier":"standard"}}"#,
        uncached(said),
        usage.cached,
        write = usage.cache_write,
    )
}
