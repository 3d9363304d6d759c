//! What has no translation, and where the client is told it is.

use super::object;
use crate::translate::{DROPPED_MAX, chat_to_messages, messages_to_chat};

const HI: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;

/// Members of a chat request beside a model and a limit, and the path that is named.
const CHAT: &[(&str, &str)] = &[
    (r#""n":2"#, "n"),
    (r#""logprobs":true"#, "logprobs"),
    (r#""top_logprobs":3"#, "top_logprobs"),
    (r#""logit_bias":{"50256":-100}"#, "logit_bias"),
    (r#""audio":{"voice":"alloy"}"#, "audio"),
    (r#""modalities":["text","audio"]"#, "modalities"),
    (r#""frequency_penalty":0.1"#, "frequency_penalty"),
    (r#""store":true"#, "store"),
    (r#""verbosity":"low""#, "verbosity"),
    (r#""web_search_options":{}"#, "web_search_options"),
    (r#""functions":[{"name":"f"}]"#, "functions"),
    (r#""surprise":1"#, "surprise"),
    (r#""temperature":1.1"#, "temperature"),
    (r#""temperature":"0""#, "temperature"),
    (r#""top_p":-0.1"#, "top_p"),
    (r#""stop":["a"," "]"#, "stop[1]"),
    (r#""stop":3"#, "stop"),
    (r#""service_tier":"flex""#, "service_tier"),
    (r#""reasoning_effort":"huge""#, "reasoning_effort"),
    (r#""response_format":{"type":"json_object"}"#, "response_format.type"),
    (r#""response_format":{"type":"json_schema"}"#, "response_format.json_schema"),
    (r#""stream":"yes""#, "stream"),
    (r#""max_completion_tokens":0"#, "max_completion_tokens"),
    (r#""max_completion_tokens":1.5"#, "max_completion_tokens"),
    (r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#, "tools[0].type"),
    (r#""tools":[{"type":"function","function":{"name":"a b"}}]"#, "tools[0].function.name"),
    (
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"string"}}}]"#,
        "tools[0].function.parameters.type",
    ),
    (r#""tools":[{"type":"function","function":{"name":"f","extra":1}}]"#, "tools[0].function.extra"),
    (r#""tool_choice":"required""#, "tool_choice"),
    (r#""tool_choice":"perhaps""#, "tool_choice"),
    (r#""tool_choice":{"type":"allowed_tools","allowed_tools":{}}"#, "tool_choice.type"),
];

/// Conversations of Chat, and the path that is named.
const CHAT_MESSAGES: &[(&str, &str)] = &[
    ("[]", "messages"),
    (r#"[{"role":"system","content":"s"}]"#, "messages"),
    (r#"[{"role":"user","content":" "}]"#, "messages"),
    (r#"["Hi"]"#, "messages[0]"),
    (r#"[{"content":"Hi"}]"#, "messages[0].role"),
    (r#"[{"role":"robot","content":"Hi"}]"#, "messages[0].role"),
    (r#"[{"role":"user","content":7}]"#, "messages[0].content"),
    (r#"[{"role":"user","content":"Hi","mood":"good"}]"#, "messages[0].mood"),
    (r#"[{"role":"assistant","content":"Hi"},{"role":"user","content":"a"}]"#, "messages"),
    (r#"[{"role":"user","content":"a"},{"role":"assistant","content":"Hi"}]"#, "messages"),
    (
        r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#,
        "messages[0].content[0].type",
    ),
    (r#"[{"role":"user","content":[{"type":"refusal","refusal":"a"}]}]"#, "messages[0].content[0].type"),
    (
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]"#,
        "messages[0].content[0].image_url.url",
    ),
    (
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/bmp;base64,AAAA"}}]}]"#,
        "messages[0].content[0].image_url.url",
    ),
    (
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,A A"}}]}]"#,
        "messages[0].content[0].image_url.url",
    ),
    (
        r#"[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#,
        "messages[0].content[0].file.file_id",
    ),
    (
        r#"[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"c","content":"b"}]"#,
        "messages[1].tool_call_id",
    ),
    (
        r#"[{"role":"user","content":"a"},{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}]"#,
        "messages[1].function_call",
    ),
];

/// A call `c` of `f`, and what comes after it.
const AFTER_CALL: &[(&str, &str)] = &[
    ("", "messages[1].tool_calls[0]"),
    (r#",{"role":"user","content":"b"}"#, "messages[1].tool_calls[0]"),
    (r#",{"role":"tool","tool_call_id":"d","content":"b"}"#, "messages[2].tool_call_id"),
    (
        r#",{"role":"tool","tool_call_id":"c","content":"b"},{"role":"tool","tool_call_id":"c","content":"b"}"#,
        "messages[3].tool_call_id",
    ),
    (
        r#",{"role":"tool","tool_call_id":"c","content":"b"},
        {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
        "messages[3].tool_calls[0].id",
    ),
];

fn chat(members: &str) -> String {
    let request = object(&format!(r#"{{"model":"m","max_tokens":9,{members}}}"#));
    chat_to_messages(&request).expect_err(members).param
}

#[test]
fn what_chat_asks_for_and_messages_cannot_is_refused_by_name() {
    for (members, param) in CHAT {
        assert_eq!(chat(&format!("{members},{HI}")), *param, "{members}");
    }
    assert_eq!(
        chat_to_messages(&object(&format!(r#"{{"model":"m",{HI}}}"#))).unwrap_err().param,
        "max_completion_tokens"
    );
    assert_eq!(chat_to_messages(&object(&format!(r#"{{"max_tokens":9,{HI}}}"#))).unwrap_err().param, "model");
}

#[test]
fn a_chat_conversation_that_does_not_hold_together_is_refused_where_it_breaks() {
    for (messages, param) in CHAT_MESSAGES {
        assert_eq!(chat(&format!(r#""messages":{messages}"#)), *param, "{messages}");
    }
    let call = |arguments: &str, after: &str| {
        format!(
            r#""messages":[{{"role":"user","content":"a"}},{{"role":"assistant","tool_calls":[{{"id":"c","type":"function",
                "function":{{"name":"f","arguments":"{arguments}"}}}}]}}{after}]"#
        )
    };
    for (after, param) in AFTER_CALL {
        assert_eq!(chat(&call("{}", after)), *param, "{after}");
    }
    for arguments in ["{", "[]", "7", r#"{\"a\":1,\"a\":2}"#, "{} {}"] {
        assert_eq!(chat(&call(arguments, "")), "messages[1].tool_calls[0].function.arguments", "{arguments}");
    }
}

/// Members of a messages request beside a model and a limit, and the path that is named.
const MESSAGES: &[(&str, &str)] = &[
    (r#""top_k":5"#, "top_k"),
    (r#""container":"c""#, "container"),
    (r#""inference_geo":"us""#, "inference_geo"),
    (r#""mcp_servers":[{"type":"url"}]"#, "mcp_servers"),
    (r#""speed":"fast""#, "speed"),
    (r#""surprise":1"#, "surprise"),
    (r#""temperature":1.5"#, "temperature"),
    (r#""stop_sequences":["a","b","c","d","e"]"#, "stop_sequences"),
    (r#""stop_sequences":["a",1]"#, "stop_sequences.1"),
    (r#""thinking":{"type":"hard"}"#, "thinking.type"),
    (r#""output_config":{"effort":"huge"}"#, "output_config.effort"),
    (r#""output_config":{"format":{"type":"grammar"}}"#, "output_config.format.type"),
    (
        r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#,
        "context_management.edits.0.type",
    ),
    (r#""tools":[{"type":"web_search_20260318","name":"web_search"}]"#, "tools.0.type"),
    (r#""tools":[{"name":"f"}]"#, "tools.0.input_schema"),
    (r#""tools":[{"name":"f","input_schema":{},"defer_loading":true}]"#, "tools.0.defer_loading"),
    (r#""tools":[{"name":"f","input_schema":{},"input_examples":[{}]}]"#, "tools.0.input_examples"),
    (r#""tool_choice":{"type":"any"}"#, "tool_choice"),
    (r#""tool_choice":{"type":"perhaps"}"#, "tool_choice.type"),
    (r#""system":[{"type":"image"}]"#, "system.0.type"),
];

/// Conversations of Messages, and the path that is named.
const MESSAGES_MESSAGES: &[(&str, &str)] = &[
    ("[]", "messages"),
    (r#"[{"role":"user","content":[]}]"#, "messages.0.content"),
    (r#"[{"role":"user"}]"#, "messages.0.content"),
    (r#"[{"role":"robot","content":"Hi"}]"#, "messages.0.role"),
    (r#"[{"role":"user","content":"a"},{"role":"assistant","content":"Hi"}]"#, "messages"),
    (r#"[{"role":"user","content":[{"type":"search_result"}]}]"#, "messages.0.content.0.type"),
    (
        r#"[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#,
        "messages.0.content.0.source.type",
    ),
    (
        r#"[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"2.0","data":"AAAA"}}]}]"#,
        "messages.0.content.0.source.media_type",
    ),
    (
        r#"[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"data:text/html,x"}}]}]"#,
        "messages.0.content.0.source.url",
    ),
    (
        r#"[{"role":"user","content":[{"type":"text","text":"a","mood":"good"}]}]"#,
        "messages.0.content.0.mood",
    ),
    (
        r#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]}]"#,
        "messages.0.content.0.tool_use_id",
    ),
    (
        r#"[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use"}]}]"#,
        "messages.1.content.0.type",
    ),
    (
        r#"[{"role":"user","content":[{"type":"document","citations":{"enabled":true},"source":{"type":"text","data":"a"}}]}]"#,
        "messages.0.content.0.citations",
    ),
];

/// A call `c` of `f`, and what comes after it.
const AFTER_USE: &[(&str, &str)] = &[
    (r#",{"role":"user","content":"b"}"#, "messages.1.content.0"),
    (
        r#",{"role":"system","content":"s"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c"}]}"#,
        "messages.1.content.0",
    ),
    (
        r#",{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"tool_reference"}]}]}"#,
        "messages.2.content.0.content.0.type",
    ),
    (
        r#",{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]}"#,
        "messages.2.content.0.id",
    ),
    (
        r#",{"role":"assistant","content":[{"type":"tool_use","id":"d","name":"f","input":"{}"}]}"#,
        "messages.2.content.0.input",
    ),
    (
        r#",{"role":"assistant","content":[{"type":"tool_use","id":"d","name":"a.b","input":{}}]}"#,
        "messages.2.content.0.name",
    ),
];

fn messages(members: &str) -> String {
    let request = object(&format!(r#"{{"model":"m","max_tokens":9,{members}}}"#));
    messages_to_chat(&request).expect_err(members).param
}

#[test]
fn what_messages_asks_for_and_chat_cannot_is_refused_by_name() {
    for (members, param) in MESSAGES {
        assert_eq!(messages(&format!("{members},{HI}")), *param, "{members}");
    }
    for limit in [r#""max_tokens":0,"#, ""] {
        let request = object(&format!(r#"{{"model":"m",{limit}{HI}}}"#));
        assert_eq!(messages_to_chat(&request).unwrap_err().param, "max_tokens");
    }
}

#[test]
fn a_messages_conversation_that_does_not_hold_together_is_refused_where_it_breaks() {
    for (conversation, param) in MESSAGES_MESSAGES {
        assert_eq!(messages(&format!(r#""messages":{conversation}"#)), *param, "{conversation}");
    }
    for (after, param) in AFTER_USE {
        let conversation = format!(
            r#""messages":[{{"role":"user","content":"a"}},
                {{"role":"assistant","content":[{{"type":"tool_use","id":"c","name":"f","input":{{}}}}]}}{after}]"#
        );
        assert_eq!(messages(&conversation), *param, "{after}");
    }
}

#[test]
fn a_refusal_shows_nothing_of_the_request() {
    let secret = r#""messages":[{"role":"user","content":[{"type":"s3cret","s3cret":"s3cret"}]}]"#;
    let request = object(&format!(r#"{{"model":"m","max_tokens":9,{secret}}}"#));
    for error in [chat_to_messages(&request).unwrap_err(), messages_to_chat(&request).unwrap_err()] {
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn what_is_left_out_is_listed_up_to_a_bound() {
    let user = r#"{"role":"user","content":"a","name":"ann"}"#;
    let named = vec![user; DROPPED_MAX + 3].join(",");
    let request = object(&format!(r#"{{"model":"m","max_tokens":9,"messages":[{named}]}}"#));
    let translated = chat_to_messages(&request).unwrap();
    assert_eq!((translated.dropped.len(), translated.dropped_more), (DROPPED_MAX, 3));
}
