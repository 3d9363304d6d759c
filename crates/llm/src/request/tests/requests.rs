//! Requests as SDKs and frameworks send them.

use ringfence_types::CacheWrite;

use super::super::Features;
use super::{object, plain};
use crate::Api;

const CHAT: &str = r#"{
    "model": "gpt-6-astra", "n": 2, "stream": true,
    "stream_options": {"include_usage": true, "include_obfuscation": false},
    "max_completion_tokens": 1000, "temperature": 0.2, "service_tier": "fast", "user": "u-1",
        "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "tools": [
        {"type": "function", "function": {"name": "look_up", "description": "d",
        "parameters": {"type": "object"}, "strict": true}},
        {"type": "custom", "custom": {"name": "run", "format": {"type": "text"}}}
    ],
    "messages": [
        {"role": "system", "content": "You are short."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAABBBB", "detail": "low"}}
        ]},
        {"role": "assistant", "content": null, "refusal": null, "audio": null, "annotations": [],
         "parsed": null, "tool_calls": [{"id": "c1", "type": "function",
         "function": {"name": "look_up", "arguments": "{}", "parsed_arguments": null}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"}
    ]
}"#;

#[test]
fn a_chat_request_says_what_it_asks_for() {
    let asked = plain(Api::Chat, CHAT).unwrap();
    assert_eq!((asked.model.as_str(), asked.stream, asked.usage_asked), ("gpt-6-astra", true, true));
    assert_eq!((asked.output, asked.answers, asked.extra_output), (Some(1_000), 2, 0));
    assert_eq!(asked.tier.as_deref(), Some("priority"), "billed under this name");
    assert_eq!(asked.writes_cache, CacheWrite::Short, "OpenAI decides by itself");
    assert_eq!((asked.images, asked.image_bytes, asked.documents), (1, 8, 0));
    assert_eq!(asked.tools, ["look_up", "run"]);
    let features = Features {
        json: true,
        json_schema: true,
        tools: true,
        images: true,
        reasoning: true,
        ..Features::default()
    };
    assert_eq!(asked.features, features);
    assert_eq!(features.words().collect::<Vec<_>>(), ["json", "json_schema", "tools", "images", "reasoning"]);
    assert!(!asked.hidden_input && !asked.stores && !asked.keep_out);
    let written = ringfence_json::Value::from(object(CHAT)).to_bytes().len() as u64;
    assert!((written - 8..written + 40).contains(&asked.text_bytes), "{} of {written}", asked.text_bytes);
}

#[test]
fn a_short_chat_request_leaves_the_rest_open() {
    let asked = plain(Api::Chat, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    assert_eq!((asked.output, asked.answers, asked.stream, asked.usage_asked), (None, 1, false, true));
    assert_eq!((asked.tier, asked.features), (None, Features::default()));
    let streamed = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    assert!(!plain(Api::Chat, streamed).unwrap().usage_asked, "it has to be asked for");
}

#[test]
fn a_prediction_may_be_paid_on_top() {
    let text = r#"{"model":"m","messages":[],"prediction":{"type":"content","content":"0123456789"}}"#;
    assert!(plain(Api::Chat, text).unwrap().extra_output >= 10);
}

#[test]
fn a_responses_request_says_what_it_asks_for() {
    let asked = plain(
        Api::Responses,
        r#"{
        "model": "gpt-6-astra", "instructions": "Be kind.", "max_output_tokens": 500,
        "store": false, "background": false,
        "previous_response_id": null, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "parallel_tool_calls": true, "truncation": "disabled",
        "prompt_cache_options": {"mode": "implicit", "ttl": "12h"},
        "tools": [
            {"type": "function", "name": "f", "parameters": {}, "strict": true, "description": "d"},
            {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "custom", "name": "g"}]},
            {"type": "local_shell"}, {"type": "apply_patch"}, {"type": "shell",
        "environment": {"type": "local"}}
        ],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"},
                {"type": "input_image", "detail": "auto", "image_url": "data:image/jpeg;base64,AAAA"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}",
        "status": "completed"},
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "ok"}]},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "phase": "final_answer",
             "content": [{"type": "output_text", "text": "done", "annotations": [], "logprobs": []}]}
        ]}"#,
    )
    .unwrap();
    assert_eq!((asked.output, asked.images, asked.image_bytes), (Some(500), 1, 4));
    assert_eq!(asked.tools, ["f", "g", "local_shell", "apply_patch", "shell"]);
    assert_eq!(asked.writes_cache, CacheWrite::Hour, "longer than the times known to be short");
    assert!(asked.usage_asked && asked.features.reasoning);
    assert!(!asked.hidden_input && !asked.keep_out);
    let text = r#"{"model":"m","input":"hi"}"#;
    assert!(plain(Api::Responses, text).unwrap().keep_out, "OpenAI keeps what does not say otherwise");
}

#[test]
fn an_embeddings_request_says_how_many_texts_it_has() {
    for (input, inputs) in
        [(r#""a""#, 1), (r#"["a","b"]"#, 2), ("[1,2,3]", 1), ("[[1,2],[3]]", 2), (r#"["a",[1]]"#, 2)]
    {
        let text = format!(r#"{{"model":"m","input":{input},"dimensions":256,"encoding_format":"base64"}}"#);
        let asked = plain(Api::Embeddings, &text).unwrap();
        assert_eq!((asked.inputs, asked.writes_cache), (inputs, CacheWrite::Never), "{input}");
    }
    for input in ["[]", "1", "[1.5]", "[{}]", r#"["a",null]"#, "[[-1]]", "null"] {
        assert!(plain(Api::Embeddings, &format!(r#"{{"model":"m","input":{input}}}"#)).is_err(), "{input}");
    }
}

const MESSAGES: &str = r#"{
    "model": "claude-opus-5-5", "max_tokens": 32000, "stream": true, "metadata": {"user_id": "u"},
        "temperature": 1,
    "thinking": {"type": "enabled", "budget_tokens": 31999}, "output_config": {"effort": "high"},
        "stop_sequences": ["x"],
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "system": [{"type": "text", "text": "You are Claude.", "cache_control": {"type": "ephemeral",
        "ttl": "1h", "scope": "global"}}],
    "tools": [
        {"name": "Read", "description": "d", "input_schema": {"type": "object"}, "eager_input_streaming": true},
        {"type": "custom", "name": "Write", "input_schema": {"type": "object"}, "strict": true},
        {"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728",
        "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"}, {"type": "computer_20251124", "name": "computer",
        "display_width_px": 1, "display_height_px": 1},
        {"type": "browser_toolset_20260801", "configs": {}}
    ],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Look.", "cache_control": {"type": "ephemeral"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAABBBB"}},
            {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain",
        "data": "abc"}, "citations": {"enabled": true}}
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking",
        "data": "d"},
            {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a"},
        "caller": {"type": "direct"}}
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [{"type": "text",
        "text": "no such file"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "CCCC"}}]}
        ]},
        {"role": "system", "content": "Mind the time."}
    ]
}"#;

#[test]
fn a_messages_request_says_what_it_asks_for() {
    let asked = plain(Api::Messages, MESSAGES).unwrap();
    assert_eq!((asked.output, asked.answers, asked.usage_asked), (Some(32_000), 1, true));
    assert_eq!((asked.images, asked.image_bytes, asked.documents, asked.document_bytes), (2, 12, 1, 0));
    assert_eq!((asked.writes_cache, asked.tier.as_deref()), (CacheWrite::Hour, None));
    assert_eq!(asked.tools.len(), 7);
    assert_eq!(asked.tools.last().unwrap(), "browser_toolset_20260801");
    let shape = asked.shape(4_784);
    assert_eq!((shape.text_bytes, shape.messages, shape.images), (asked.text_bytes, 5, 2));
    assert_eq!((shape.image_tokens, shape.tools, shape.provider_tools), (4_784, 7, 4 + 10));
    assert!(asked.features.reasoning && !asked.hidden_input);
    assert_eq!(asked.trail.steps.len(), 1);
}

#[test]
fn caching_is_seen_wherever_it_is_marked() {
    let hi = r#"{"role":"user","content":"hi"}"#;
    for (more, writes) in [
        ("", CacheWrite::Never),
        (r#","cache_control":{"type":"ephemeral"}"#, CacheWrite::Short),
        (r#","cache_control":{"type":"ephemeral","ttl":"5m"}"#, CacheWrite::Short),
        (r#","cache_control":{"type":"ephemeral","ttl":"2d"}"#, CacheWrite::Hour),
        (r#","cache_control":null"#, CacheWrite::Never),
        (
            r#","tools":[{"name":"a","input_schema":{},"cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
            CacheWrite::Hour,
        ),
    ] {
        let text = format!(r#"{{"model":"m","max_tokens":1,"messages":[{hi}]{more}}}"#);
        assert_eq!(plain(Api::Messages, &text).unwrap().writes_cache, writes, "{more}");
    }
}

#[test]
fn what_anthropic_asks_more_for_is_a_tier() {
    for (more, tier) in [
        (r#""service_tier":"standard_only""#, Some("standard_only")),
        (r#""speed":"standard""#, None),
        (r#""speed":"fast","service_tier":"auto""#, Some("fast")),
        (r#""inference_geo":"us""#, Some("geo_us")),
        (r#""inference_geo":"global""#, None),
        (r#""inference_geo":"us","speed":"fast""#, Some("fast+geo_us")),
    ] {
        let text = format!(r#"{{"model":"m","max_tokens":1,"messages":[],{more}}}"#);
        assert_eq!(plain(Api::Messages, &text).unwrap().tier.as_deref(), tier, "{more}");
    }
}

#[test]
fn a_packed_document_can_hold_more_than_its_bytes() {
    let source = r#"{"type":"base64","media_type":"application/pdf","data":"AAAAAAAA"}"#;
    let text = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"document","source":{source}}}]}}]}}"#
    );
    let asked = plain(Api::CountTokens, &text).unwrap();
    assert_eq!((asked.documents, asked.document_bytes), (1, 8));
    assert!(asked.hidden_input && asked.features.documents);
}
