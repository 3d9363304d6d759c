//! OpenAI's chat completions.

use std::fmt::Write as _;

use super::{CREATED, list};
use crate::said::{Block, Finish, Kind, Piece, Said, quoted};

/// An error in the middle of a stream.
pub const TROUBLE: &str = "data: {\"error\":{\"message\":\"The server had an error while processing your request. Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";

/// A whole answer.
pub fn whole(said: &Said) -> String {
    let text: String = said.of(|kind| *kind == Kind::Text).map(|block| said.whole(block)).collect();
    let content =
        if said.of(|kind| *kind == Kind::Text).next().is_some() { quoted(&text) } else { "null".to_owned() };
    let calls = list(said.of(is_tool).map(|block| call(said, block, &block.text.whole())));
    let calls = if calls == "[]" { String::new() } else { format!(r#","tool_calls":{calls}"#) };
    let finish = finish(said);
    let choices = list((0..said.choices).map(|index| {
        format!(
            r#"{{"index":{index},"message":{{"role":"assistant","content":{content}{calls},"refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":{finish}}}"#
        )
    }));
    let usage = if said.usage_times > 0 { format!(r#","usage":{}"#, usage(said)) } else { String::new() };
    let mut text = head(said, "chat.completion");
    let _ = write!(
        text,
        r#","choices":{choices}{usage},"service_tier":"default","system_fingerprint":"fp_mock"}}"#
    );
    text
}

/// What a stream begins with.
pub fn opening(said: &Said) -> String {
    let content = if said.of(is_tool).next().is_some() { "null" } else { "\"\"" };
    let delta = format!(r#"{{"role":"assistant","content":{content},"refusal":null}}"#);
    (0..said.choices).map(|index| chunk(said, index, &delta, "null")).collect()
}

/// A piece.
pub fn piece(said: &Said, piece: Piece) -> String {
    let text = said.text(piece);
    let delta = match &piece.block.kind {
        // Chat completions do not show thoughts; they only take their time.
        Kind::Thinking => return String::new(),
        Kind::Text => format!(r#"{{"content":{}}}"#, quoted(&text)),
        Kind::Tool { call: index, .. } => {
            let arguments = quoted(&text);
            let mut delta = String::new();
            if piece.is_first() {
                let first = call(said, piece.block, "");
                let first = format!(r#"{{"tool_calls":[{{"index":{index},{}]}}"#, &first[1..]);
                delta = (0..said.choices).map(|choice| chunk(said, choice, &first, "null")).collect();
            }
            let rest =
                format!(r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{arguments}}}}}]}}"#);
            return (0..said.choices).fold(delta, |text, choice| text + &chunk(said, choice, &rest, "null"));
        }
    };
    (0..said.choices).map(|index| chunk(said, index, &delta, "null")).collect()
}

/// What a stream ends with.
pub fn closing(said: &Said) -> String {
    let finish = finish(said);
    let mut text: String = (0..said.choices).map(|index| chunk(said, index, "{}", &finish)).collect();
    if said.include_usage {
        for _ in 0..said.usage_times {
            let _ = write!(
                text,
                "data: {},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\",\"choices\":[],\"usage\":{}}}\n\n",
                head(said, "chat.completion.chunk"),
                usage(said)
            );
        }
    }
    if !said.no_done {
        text.push_str("data: [DONE]\n\n");
    }
    text
}

fn head(said: &Said, object: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-mock{:08}","object":"{object}","created":{CREATED},"model":{}"#,
        said.number, said.model
    )
}

fn chunk(said: &Said, index: u32, delta: &str, finish: &str) -> String {
    let usage = if said.include_usage { ",\"usage\":null" } else { "" };
    format!(
        "data: {{\"id\":\"chatcmpl-mock{:08}\",\"object\":\"chat.completion.chunk\",\"created\":{CREATED},\"model\":{},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\",\"choices\":[{{\"index\":{index},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{usage}}}\n\n",
        said.number, said.model
    )
}

fn call(said: &Said, block: &Block, arguments: &str) -> String {
    let Kind::Tool { name, call } = &block.kind else { return String::new() };
    format!(
        r#"{{"id":"call_mock{:08}_{call}","type":"function","function":{{"name":{},"arguments":{}}}}}"#,
        said.number,
        quoted(name),
        quoted(arguments)
    )
}

fn is_tool(kind: &Kind) -> bool {
    matches!(kind, Kind::Tool { .. })
}

fn finish(said: &Said) -> String {
    let word = match &said.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Other(word) => word,
    };
    quoted(word)
}

fn usage(said: &Said) -> String {
    let usage = said.usage;
    format!(
        r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{}{write},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
        usage.input,
        usage.output,
        u64::from(usage.input) + u64::from(usage.output),
        usage.cached,
        usage.reasoning,
        write = super::written(usage),
    )
}
