use super::{canonical, events, object};
use crate::translate::MessagesStream;

/// A choice with this delta.
fn chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"gpt","choices":[{{"index":0,"delta":{delta},
            "logprobs":null,"finish_reason":{finish}}}],"usage":null,"obfuscation":"x"}}"#
    )
}

/// A stream as OpenAI documents it ("Streaming events").
fn stream() -> Vec<String> {
    vec![
        chunk(r#"{"role":"assistant","content":"","refusal":null}"#, "null"),
        chunk(r#"{"reasoning_content":"Hm."}"#, "null"),
        chunk(r#"{"content":"Hel"}"#, "null"),
        chunk(r#"{"content":"lo"}"#, "null"),
        chunk(
            r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get","arguments":""}}]}"#,
            "null",
        ),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\": 1."}}]}"#, "null"),
        // Some servers say id and name with every piece.
        chunk(r#"{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"get","arguments":"50}"}}]}"#, "null"),
        chunk(
            r#"{"tool_calls":[{"index":1,"id":"call:2","type":"function","function":{"name":"now","arguments":"{}"}}]}"#,
            "null",
        ),
        chunk("{}", r#""tool_calls""#),
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"gpt","choices":[],
            "usage":{"prompt_tokens":30,"completion_tokens":15,"total_tokens":45,"prompt_tokens_details":{"cached_tokens":5}}}"#
            .to_owned(),
        "[DONE]".to_owned(),
    ]
}

/// What it comes to.
const EVENTS: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"chatcmpl-1","type":"message","role":"assistant","model":"claude","content":[],
        "stop_reason":null,"stop_sequence":null,
        "usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_1","name":"get","input":{}}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"at\": 1."}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"50}"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"rf_4b9ed0eaf73c64bf6f16f653230b98b1","name":"now","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},
        "usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":15}}"#,
    r#"{"type":"message_stop"}"#,
];

fn fed(chunks: &[String]) -> (Vec<u8>, MessagesStream) {
    let mut translated = MessagesStream::new("claude");
    let mut out = Vec::new();
    for chunk in chunks {
        translated.chunk(chunk.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{error}: {chunk}"));
    }
    (out, translated)
}

#[test]
fn a_stream_of_chat_becomes_events() {
    let (out, translated) = fed(&stream());
    let events = events(&out);
    let said: Vec<String> = events.iter().map(|(_, data)| canonical(&object(data))).collect();
    let expected: Vec<String> = EVENTS.iter().map(|event| canonical(&object(event))).collect();
    assert_eq!(said, expected);
    for (name, data) in &events {
        assert_eq!(object(data).text("type"), Some(&**name));
    }
    assert!(translated.is_ended());
}

#[test]
fn a_stream_of_chat_that_is_cut_off_anywhere_is_known_to_be() {
    let stream = stream();
    let (whole, _) = fed(&stream);
    for cut in 0..stream.len() {
        let (mut out, mut translated) = fed(&stream[..cut]);
        assert!(whole.starts_with(&out), "after {cut}");
        // With a finish reason it is whole, though some servers send neither usage nor `[DONE]`.
        let finished = cut > 8;
        assert_eq!(translated.end(&mut out).is_ok(), finished, "after {cut}");
        assert_eq!(out.ends_with(b"data: {\"type\":\"message_stop\"}\n\n"), finished);
        assert_eq!(translated.is_ended(), finished);
    }
}

#[test]
fn every_finish_reason_has_its_stop_reason() {
    for (finish, stop) in [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")] {
        let (out, _) = fed(&[chunk(r#"{"content":"a"}"#, &format!("\"{finish}\"")), "[DONE]".into()]);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(&format!(r#""stop_reason":"{stop}""#)), "{finish}");
    }
    let (out, _) = fed(&[chunk(r#"{"refusal":"No."}"#, "null"), chunk("{}", r#""stop""#), "[DONE]".into()]);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains(r#""text":"No.""#) && out.contains(r#""stop_reason":"refusal""#));
}

#[test]
fn an_error_within_a_stream_of_chat_ends_it_as_one_of_anthropic() {
    let error = r#"{"error":{"message":"Busy","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let expected = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Busy"}}"#;
    let stream = stream();
    for cut in 0..stream.len() {
        let (mut out, mut translated) = fed(&stream[..cut]);
        translated.chunk(error.as_bytes(), &mut out).unwrap();
        assert_eq!(events(&out).pop().unwrap(), ("error".to_owned(), expected.to_owned()));
        assert!(translated.is_ended());
        assert!(
            translated.chunk(chunk("{}", "null").as_bytes(), &mut out).is_err(),
            "nothing comes after it"
        );
    }
}

#[test]
fn what_comes_before_the_first_choice_does_not_begin_the_message() {
    let before = r#"{"id":"","choices":[],"prompt_filter_results":[],"usage":null}"#;
    let all: Vec<String> = [before.to_owned()].into_iter().chain(stream()).collect();
    assert_eq!(fed(&all).0, fed(&stream()).0);
}

#[test]
fn chunks_that_cannot_stand_there_are_faults() {
    let begun = r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]}"#;
    let next = r#"{"tool_calls":[{"index":1,"id":"d","function":{"name":"f","arguments":"{"}}]}"#;
    let piece = r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#;
    let bad: &[&[(&str, &str)]] = &[
        // A piece of a call that is over: of the one before, and after a text.
        &[(begun, "null"), (next, "null"), (piece, "null")],
        &[(begun, "null"), (r#"{"content":"a"}"#, "null"), (piece, "null")],
        &[
            (begun, "null"),
            (r#"{"tool_calls":[{"index":0,"id":"other","function":{"arguments":"}"}}]}"#, "null"),
        ],
        &[(piece, "null")],
        &[(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":""}}]}"#, "null")],
        &[(r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f"}}]}"#, "null")],
        &[(r#"{"tool_calls":[{"id":"c","function":{"name":"f"}}]}"#, "null")],
        &[(r#"{"tool_calls":[{"index":0,"id":"c","type":"custom","function":{"name":"f"}}]}"#, "null")],
        &[("{}", r#""stop""#), (r#"{"content":"a"}"#, "null")],
        &[("{}", r#""stop""#), (begun, "null")],
        &[("{}", r#""stop""#), ("{}", r#""stop""#)],
        &[("{}", r#""bored""#)],
        &[(r#"{"content":7}"#, "null")],
        &[(r#"{"audio":{}}"#, "null")],
        &[(r#"{"function_call":{}}"#, "null")],
    ];
    for chunks in bad {
        let (last, before) = chunks.split_last().unwrap();
        let before: Vec<String> = before.iter().map(|(delta, finish)| chunk(delta, finish)).collect();
        let (mut out, mut translated) = fed(&before);
        assert!(translated.chunk(chunk(last.0, last.1).as_bytes(), &mut out).is_err(), "{last:?}");
    }
    let two = r#"{"id":"a","choices":[{"index":0,"delta":{}},{"index":1,"delta":{}}]}"#;
    let other = r#"{"id":"a","choices":[{"index":1,"delta":{"content":"a"}}]}"#;
    for chunk in
        [two, other, "not JSON", "[]", "{}", r#"{"id":"a","choices":[],"usage":{"prompt_tokens":-1}}"#]
    {
        assert!(MessagesStream::new("m").chunk(chunk.as_bytes(), &mut Vec::new()).is_err(), "{chunk}");
    }
}
