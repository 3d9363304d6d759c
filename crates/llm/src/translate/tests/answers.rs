use super::{canonical, object};
use crate::translate::{chat_to_messages_answer, messages_to_chat_answer};

/// An answer of Anthropic's: content, stop reason and usage; and the message, finish reason and usage it comes to.
const TO_CHAT: &[[&str; 6]] = &[
    [
        r#"[{"type":"text","text":"Hel","citations":null},{"type":"text","text":"lo"}]"#,
        r#""stop_reason":"end_turn""#,
        r#"{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":50,
            "output_tokens_details":{"thinking_tokens":20},"service_tier":"standard"}"#,
        r#"{"role":"assistant","content":"Hello","refusal":null}"#,
        "stop",
        r#"{"prompt_tokens":3210,"completion_tokens":50,"total_tokens":3260,"prompt_tokens_details":{"cached_tokens":3000,
            "cache_write_tokens":200},"completion_tokens_details":{"reasoning_tokens":20}}"#,
    ],
    [
        r#"[{"type":"thinking","thinking":"Hm.","signature":"s"},{"type":"redacted_thinking","data":"x"},
            {"type":"tool_use","id":"toolu_1","name":"get","input":{"at":1.50,"b":[1e2]}}]"#,
        r#""stop_reason":"tool_use""#,
        r#"{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":null}"#,
        r#"{"role":"assistant","content":null,"refusal":null,"reasoning_content":"Hm.","tool_calls":[
            {"id":"toolu_1","type":"function","function":{"name":"get","arguments":"{\"at\":1.50,\"b\":[1e2]}"}}]}"#,
        "tool_calls",
        r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,
            "prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0}}"#,
    ],
    [
        "[]",
        r#""stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio","explanation":"No."}"#,
        r#"{"input_tokens":1,"output_tokens":0}"#,
        r#"{"role":"assistant","content":null,"refusal":"No."}"#,
        "content_filter",
        r#"{"prompt_tokens":1,"completion_tokens":0,"total_tokens":1,
            "prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0}}"#,
    ],
];

fn of_anthropic(content: &str, stop: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":{content},{stop},"stop_sequence":null,"usage":{usage}}}"#
    )
}

fn of_openai(message: &str, finish: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"gpt","choices":[{{"index":0,"message":{message},
            "logprobs":null,"finish_reason":"{finish}"}}],"usage":{usage}}}"#
    )
}

#[test]
fn an_answer_of_messages_is_said_as_chat() {
    for [content, stop, usage, message, finish, counts] in TO_CHAT {
        let answer = messages_to_chat_answer(&object(&of_anthropic(content, stop, usage)), 7, "gpt").unwrap();
        let expected = of_openai(message, finish, counts).replace("chatcmpl-1", "msg_1");
        assert_eq!(canonical(&answer), canonical(&object(&expected)));
    }
}

#[test]
fn every_stop_reason_has_its_finish_reason() {
    let reasons = [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ];
    for (stop, finish) in reasons {
        let answer = of_anthropic("[]", &format!(r#""stop_reason":"{stop}""#), "{}");
        let answer = messages_to_chat_answer(&object(&answer), 7, "gpt").unwrap();
        assert!(canonical(&answer).contains(&format!(r#""finish_reason":"{finish}""#)), "{stop}");
    }
}

#[test]
fn an_answer_without_usage_is_given_out_without() {
    let answer = object(&of_anthropic("[]", r#""stop_reason":"end_turn""#, "null"));
    assert!(messages_to_chat_answer(&answer, 7, "gpt").unwrap().get("usage").is_none());
}

#[test]
fn an_answer_that_is_none_of_messages_is_malformed() {
    let stop = r#""stop_reason":"end_turn""#;
    let bad = [
        (of_anthropic("[]", r#""stop_reason":"bored""#, "{}"), "stop_reason"),
        (of_anthropic("[]", r#""stop_reason":null"#, "{}"), "stop_reason"),
        (of_anthropic("null", stop, "{}"), "content"),
        (of_anthropic("[]", stop, r#"{"input_tokens":-1}"#), "usage.input_tokens"),
        (of_anthropic(r#"[{"type":"text"}]"#, stop, "{}"), "content.0.text"),
        (of_anthropic(r#"[{"type":"server_tool_use"}]"#, stop, "{}"), "content.0.type"),
        (
            of_anthropic(r#"[{"type":"tool_use","id":"a","name":"b","input":"{}"}]"#, stop, "{}"),
            "content.0.input",
        ),
        (r#"{"type":"error","role":"assistant"}"#.into(), ""),
        ("{}".into(), "type"),
    ];
    for (answer, at) in bad {
        assert_eq!(messages_to_chat_answer(&object(&answer), 7, "gpt").unwrap_err().at, at, "{answer}");
    }
}

/// A message of OpenAI's, its finish reason and its usage; and content, stop reason and usage it comes to.
const TO_MESSAGES: &[[&str; 6]] = &[
    [
        r#"{"role":"assistant","content":"Hello","refusal":null,"annotations":[],"reasoning_content":"Hm."}"#,
        "stop",
        r#"{"prompt_tokens":3210,"completion_tokens":50,"total_tokens":3260,"prompt_tokens_details":{"cached_tokens":3000,
            "cache_write_tokens":200,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":20}}"#,
        r#"[{"type":"text","text":"Hello"}]"#,
        "end_turn",
        r#"{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":50,
            "output_tokens_details":{"thinking_tokens":20}}"#,
    ],
    [
        r#"{"role":"assistant","content":null,"tool_calls":[
            {"id":"call_1","type":"function","function":{"name":"get","arguments":"{\"at\": 1.50}"}},
            {"id":"functions.now:0","type":"function","function":{"name":"now","arguments":""}}]}"#,
        "tool_calls",
        r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#,
        r#"[{"type":"tool_use","id":"call_1","name":"get","input":{"at":1.50}},
            {"type":"tool_use","id":"rf_HASH","name":"now","input":{}}]"#,
        "tool_use",
        r#"{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}"#,
    ],
    [
        r#"{"role":"assistant","content":null,"refusal":"No."}"#,
        "stop",
        "null",
        r#"[{"type":"text","text":"No."}]"#,
        "refusal",
        r#"{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}"#,
    ],
    // With a tool the client forced, OpenAI stops with `stop`.
    [
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
        "stop",
        "{}",
        r#"[{"type":"tool_use","id":"c","name":"f","input":{}}]"#,
        "tool_use",
        r#"{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}"#,
    ],
];

#[test]
fn an_answer_of_chat_is_said_as_messages() {
    for [message, finish, usage, content, stop, counts] in TO_MESSAGES {
        let answer = chat_to_messages_answer(&object(&of_openai(message, finish, usage)), "claude").unwrap();
        let content = content.replace("HASH", "e4da4caeeaa7d56f00c8d05c58066baa");
        let expected = of_anthropic(&content, &format!(r#""stop_reason":"{stop}""#), counts);
        let expected = object(&expected.replace("msg_1", "chatcmpl-1"));
        assert_eq!(canonical(&answer), canonical(&expected));
    }
}

#[test]
fn an_answer_that_is_none_of_chat_is_malformed() {
    let call = |arguments: &str| {
        format!(
            r#"{{"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
        )
    };
    let arguments = "choices[0].message.tool_calls[0].function.arguments";
    let bad = [
        (of_openai("{}", "bored", "{}"), "choices[0].finish_reason"),
        (of_openai(&call("{"), "length", "{}"), arguments),
        (of_openai(&call("[]"), "tool_calls", "{}"), arguments),
        (of_openai(&call(r#"{\"a\":1,\"a\":2}"#), "tool_calls", "{}"), arguments),
        (of_openai(r#"{"content":[]}"#, "stop", "{}"), "choices[0].message.content"),
        (of_openai(r#"{"audio":{}}"#, "stop", "{}"), "choices[0].message.audio"),
        (of_openai("{}", "stop", r#"{"prompt_tokens":"9"}"#), "usage.prompt_tokens"),
        (r#"{"choices":[{},{}]}"#.into(), "choices"),
        ("{}".into(), "choices"),
    ];
    for (answer, at) in bad {
        assert_eq!(chat_to_messages_answer(&object(&answer), "claude").unwrap_err().at, at, "{answer}");
    }
}
