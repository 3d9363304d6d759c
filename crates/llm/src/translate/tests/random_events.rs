//! Streams of whatever might come, in any order.

use proptest::prelude::*;
use ringfence_json::{Object, Value};

use super::conversations::{any_object, any_text};
use super::{events, object};
use crate::translate::{ChatStream, MessagesStream};

fn any_delta() -> impl Strategy<Value = Object> {
    let kind = prop::sample::select(vec![
        ("text_delta", "text"),
        ("thinking_delta", "thinking"),
        ("input_json_delta", "partial_json"),
        ("signature_delta", "signature"),
        ("citations_delta", "citation"),
    ]);
    (kind, any_text()).prop_map(|((kind, member), text)| Object::new().with("type", kind).with(member, text))
}

fn any_block() -> impl Strategy<Value = Object> {
    prop::sample::select(vec![
        r#"{"type":"text","text":""}"#,
        r#"{"type":"thinking","thinking":"","signature":""}"#,
        r#"{"type":"redacted_thinking","data":"x"}"#,
        r#"{"type":"tool_use","id":"a","name":"f","input":{}}"#,
        r#"{"type":"tool_use","id":"b","name":"f","input":{"x":1}}"#,
    ])
    .prop_map(object)
}

/// Events of Anthropic's, mostly well made.
fn any_event() -> impl Strategy<Value = Object> {
    let typed = |kind: &str| Object::new().with("type", kind);
    let index = || 0_u64..4;
    prop_oneof![
        2 => Just(object(r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}"#)),
        6 => (index(), any_block())
            .prop_map(move |(index, block)| typed("content_block_start").with("index", index).with("content_block", block)),
        6 => (index(), any_delta())
            .prop_map(move |(index, delta)| typed("content_block_delta").with("index", index).with("delta", delta)),
        4 => index().prop_map(move |index| typed("content_block_stop").with("index", index)),
        1 => Just(object(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#)),
        1 => Just(object(r#"{"type":"message_stop"}"#)),
        1 => Just(object(r#"{"type":"error","error":{"type":"api_error","message":"M"}}"#)),
        1 => any_object(),
    ]
}

/// Chunks of OpenAI's, mostly well made.
fn any_chunk() -> impl Strategy<Value = Vec<u8>> {
    let delta = prop_oneof![
        any_text().prop_map(|text| Object::new().with("content", text)),
        any_text().prop_map(|text| Object::new().with("refusal", text)),
        (0_u64..3, prop::option::of("[ab]"), any_text()).prop_map(|(index, id, arguments)| {
            let function = Object::new().with("name", "f").with("arguments", arguments);
            let call = Object::new().with("index", index).with_some("id", id).with("function", function);
            Object::new().with("tool_calls", vec![call])
        }),
        any_object(),
    ];
    let finish =
        prop::option::weighted(0.1, prop::sample::select(vec!["stop", "length", "tool_calls", "bored"]));
    let chunk = (delta, finish).prop_map(|(delta, finish)| {
        let choice =
            Object::new().with("index", 0_u64).with("delta", delta).with_some("finish_reason", finish);
        Object::new().with("id", "c").with("choices", vec![choice]).to_canonical()
    });
    prop_oneof![
        12 => chunk,
        1 => any_object().prop_map(|object| object.to_canonical()),
        1 => Just(b"[DONE]".to_vec()),
        1 => Just(br#"{"error":{"message":"M"}}"#.to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

/// Panics unless these events are a beginning of a stream Anthropic could have sent.
fn check_events(events: &[(String, String)]) {
    let mut next = 0;
    let mut open = false;
    for (place, (name, data)) in events.iter().enumerate() {
        let event = object(data);
        let index = event.get("index").and_then(Value::as_u64);
        assert_eq!(event.text("type"), Some(name.as_str()));
        match name.as_str() {
            "message_start" => assert_eq!(place, 0),
            "content_block_start" => {
                assert!(!open && index == Some(next));
                open = true;
            }
            "content_block_delta" => assert!(open && index == Some(next)),
            "content_block_stop" => {
                assert!(open && index == Some(next));
                open = false;
                next += 1;
            }
            "message_delta" => assert!(!open && place > 0),
            "message_stop" => assert!(place + 1 == events.len() && events[place - 1].0 == "message_delta"),
            "error" => assert_eq!(place + 1, events.len()),
            other => panic!("{other}"),
        }
    }
}

/// Panics unless these chunks are a beginning of a stream OpenAI could have sent.
fn check_chunks(chunks: &[(String, String)]) {
    let mut calls = 0;
    for (place, (_, data)) in chunks.iter().enumerate() {
        if data == "[DONE]" {
            assert_eq!(place + 1, chunks.len());
            continue;
        }
        let chunk = object(data);
        if chunk.contains("error") {
            assert_eq!(place + 1, chunks.len());
            continue;
        }
        let Some(choice) = chunk.get("choices").unwrap().as_array().unwrap().first() else { continue };
        let delta = choice.get("delta").unwrap();
        assert_eq!(delta.get("role").is_some(), place == 0);
        for call in delta.get("tool_calls").and_then(Value::as_array).unwrap_or_default() {
            let begins = call.get("id").is_some();
            assert_eq!(call.get("index").unwrap().as_u64(), Some(if begins { calls } else { calls - 1 }));
            calls += u64::from(begins);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_anthropic_streams_comes_to_a_stream_of_openai_or_a_fault(
        begins: bool,
        all in prop::collection::vec(any_event(), 0..40),
    ) {
        let mut stream = ChatStream::new(7, "gpt", true);
        let mut out = Vec::new();
        if begins {
            stream.event("message_start", br#"{"type":"message_start","message":{"id":"m","usage":{}}}"#, &mut out).unwrap();
        }
        for event in all {
            // A gateway stops at a fault; that faults add nothing shows by going on.
            let before = out.len();
            if stream.event("", &event.to_canonical(), &mut out).is_err() {
                prop_assert_eq!(out.len(), before);
            }
        }
        check_chunks(&events(&out));
    }

    #[test]
    fn whatever_openai_streams_comes_to_a_stream_of_anthropic_or_a_fault(
        all in prop::collection::vec(any_chunk(), 0..40),
    ) {
        let mut stream = MessagesStream::new("claude");
        let mut out = Vec::new();
        for chunk in all {
            let _ = stream.chunk(&chunk, &mut out);
        }
        let _ = stream.end(&mut out);
        check_events(&events(&out));
    }
}
