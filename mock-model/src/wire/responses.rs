//! OpenAI's responses.

use std::fmt::Write as _;

use super::{CREATED, list};
use crate::said::{Block, Finish, Kind, Piece, Said, quoted};

/// An error in the middle of a stream.
pub const TROUBLE: &str = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"The server had an error while processing your request. Sorry about that!\",\"param\":null,\"sequence_number\":99}\n\n";

/// Numbers of events that a piece takes at most, so that they can be numbered without counting.
const PER_PIECE: u32 = 8;

/// A whole answer.
pub fn whole(said: &Said) -> String {
    let (status, why) = ending(said);
    let output = list(
        said.blocks.iter().enumerate().map(|(at, block)| item(said, at, block, status, &said.whole(block))),
    );
    let usage = if said.usage_times > 0 { usage(said) } else { "null".to_owned() };
    response(said, status, &why, &output, &usage)
}

/// What a stream begins with.
pub fn opening(said: &Said) -> String {
    let response = response(said, "in_progress", "null", "[]", "null");
    let mut events = String::new();
    event(&mut events, "response.created", 0, &format!(r#","response":{response}"#));
    event(&mut events, "response.in_progress", 1, &format!(r#","response":{response}"#));
    events
}

/// A piece, with what begins and ends its item.
pub fn piece(said: &Said, piece: Piece, index: u32) -> String {
    let mut events = String::new();
    let mut number = 2 + index * PER_PIECE;
    let mut add = |kind: &str, members: &str| {
        event(&mut events, kind, number, members);
        number += 1;
    };
    let (at, block) = (piece.at, piece.block);
    let id = format!(r#""item_id":"{}","output_index":{at}"#, item_id(said, at, block));
    if piece.is_first() {
        let item = item(said, at, block, "in_progress", "");
        add("response.output_item.added", &format!(r#","output_index":{at},"item":{item}"#));
        if block.kind == Kind::Text {
            let part = part("");
            add("response.content_part.added", &format!(r#",{id},"content_index":0,"part":{part}"#));
        }
    }
    let text = quoted(&said.text(piece));
    match &block.kind {
        // Thoughts stay with the provider.
        Kind::Thinking => {}
        Kind::Text => add(
            "response.output_text.delta",
            &format!(r#",{id},"content_index":0,"delta":{text},"logprobs":[]"#),
        ),
        Kind::Tool { .. } => {
            add("response.function_call_arguments.delta", &format!(r#",{id},"delta":{text}"#));
        }
    }
    if piece.is_last() {
        let whole = said.whole(block);
        let text = quoted(&whole);
        match &block.kind {
            Kind::Thinking => {}
            Kind::Text => {
                add(
                    "response.output_text.done",
                    &format!(r#",{id},"content_index":0,"text":{text},"logprobs":[]"#),
                );
                add(
                    "response.content_part.done",
                    &format!(r#",{id},"content_index":0,"part":{}"#, part(&whole)),
                );
            }
            Kind::Tool { name, .. } => add(
                "response.function_call_arguments.done",
                &format!(r#",{id},"name":{},"arguments":{text}"#, quoted(name)),
            ),
        }
        let item = item(said, at, block, ending(said).0, &whole);
        add("response.output_item.done", &format!(r#","output_index":{at},"item":{item}"#));
    }
    events
}

/// What a stream ends with.
pub fn closing(said: &Said) -> String {
    let mut events = String::new();
    if !said.no_done {
        let number = 2 + said.pieces() * PER_PIECE;
        let kind = if ending(said).0 == "completed" { "response.completed" } else { "response.incomplete" };
        for again in 0..u32::from(said.usage_times.max(1)) {
            event(&mut events, kind, number + again, &format!(r#","response":{}"#, whole(said)));
        }
    }
    events
}

fn event(events: &mut String, kind: &str, number: u32, members: &str) {
    let _ = write!(
        events,
        "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number}{members}}}\n\n"
    );
}

fn ending(said: &Said) -> (&'static str, String) {
    match &said.finish {
        Finish::Stop | Finish::Tools => ("completed", "null".to_owned()),
        Finish::Length => ("incomplete", r#"{"reason":"max_output_tokens"}"#.to_owned()),
        Finish::Other(word) => ("incomplete", format!(r#"{{"reason":{}}}"#, quoted(word))),
    }
}

fn response(said: &Said, status: &str, why: &str, output: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"resp_mock{:08}","object":"response","created_at":{CREATED},"status":"{status}","background":false,"error":null,"incomplete_details":{why},"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":{},"output":{output},"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"reasoning":{{"effort":null,"summary":null}},"safety_identifier":null,"service_tier":"default","store":false,"temperature":1.0,"text":{{"format":{{"type":"text"}},"verbosity":"medium"}},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":{usage},"user":null,"metadata":{{}}}}"#,
        said.number, said.model
    )
}

fn item_id(said: &Said, at: usize, block: &Block) -> String {
    let kind = match block.kind {
        Kind::Thinking => "rs",
        Kind::Text => "msg",
        Kind::Tool { .. } => "fc",
    };
    format!("{kind}_mock{:08}_{at}", said.number)
}

fn item(said: &Said, at: usize, block: &Block, status: &str, text: &str) -> String {
    let id = item_id(said, at, block);
    match &block.kind {
        Kind::Thinking => format!(r#"{{"id":"{id}","type":"reasoning","summary":[]}}"#),
        Kind::Text => {
            let content = if status == "in_progress" { "[]".to_owned() } else { format!("[{}]", part(text)) };
            format!(
                r#"{{"id":"{id}","type":"message","status":"{status}","content":{content},"role":"assistant"}}"#
            )
        }
        Kind::Tool { name, call } => format!(
            r#"{{"id":"{id}","type":"function_call","status":"{status}","arguments":{},"call_id":"call_mock{:08}_{call}","name":{}}}"#,
            quoted(text),
            said.number,
            quoted(name)
        ),
    }
}

fn part(text: &str) -> String {
    format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":{}}}"#, quoted(text))
}

fn usage(said: &Said) -> String {
    let usage = said.usage;
    format!(
        r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}{write}}},"output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}}"#,
        usage.input,
        usage.cached,
        usage.output,
        usage.reasoning,
        u64::from(usage.input) + u64::from(usage.output),
        write = super::written(usage),
    )
}
