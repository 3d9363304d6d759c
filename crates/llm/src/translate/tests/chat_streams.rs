use super::{canonical, events, object};
use crate::translate::ChatStream;

/// A stream as Anthropic documents it ("Streaming messages"), with a call that takes nothing at its end.
const STREAM: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude",
        "stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hel"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"get","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\": 1."}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"50}"}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"now","input":{}}}"#,
    r#"{"type":"content_block_stop","index":3}"#,
    r#"{"type":"a_kind_of_next_year","content":"?"}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}"#,
    r#"{"type":"message_stop"}"#,
];

/// What each choice of it comes to: delta and finish reason.
const CHOICES: &[(&str, &str)] = &[
    (r#"{"role":"assistant","content":""}"#, "null"),
    (r#"{"reasoning_content":"Hm."}"#, "null"),
    (r#"{"content":"Hel"}"#, "null"),
    (r#"{"content":"lo"}"#, "null"),
    (
        r#"{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"get","arguments":""}}]}"#,
        "null",
    ),
    (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\": 1."}}]}"#, "null"),
    (r#"{"tool_calls":[{"index":0,"function":{"arguments":"50}"}}]}"#, "null"),
    (
        r#"{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"now","arguments":""}}]}"#,
        "null",
    ),
    (r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#, "null"),
    ("{}", r#""tool_calls""#),
];

fn name(event: &str) -> String {
    object(event).text("type").unwrap().to_owned()
}

/// What the first of these events come to, and the stream after them.
fn fed(stream: &[&str], include_usage: bool) -> (Vec<u8>, ChatStream) {
    let mut translated = ChatStream::new(7, "gpt", include_usage);
    let mut out = Vec::new();
    for event in stream {
        translated
            .event(&name(event), event.as_bytes(), &mut out)
            .unwrap_or_else(|error| panic!("{error}: {event}"));
    }
    (out, translated)
}

fn chunk(rest: &str) -> String {
    let chunk =
        format!(r#"{{"id":"msg_1","object":"chat.completion.chunk","created":7,"model":"gpt",{rest}}}"#);
    canonical(&object(&chunk))
}

#[test]
fn a_stream_of_messages_becomes_chunks() {
    for include_usage in [true, false] {
        let (out, stream) = fed(STREAM, include_usage);
        let usage = if include_usage { r#","usage":null"# } else { "" };
        let choice = |(delta, finish): &(&str, &str)| {
            let choice = format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#);
            chunk(&format!(r#""choices":[{choice}]{usage}"#))
        };
        let mut expected: Vec<String> = CHOICES.iter().map(choice).collect();
        if include_usage {
            expected.push(chunk(
                r#""choices":[],"usage":{"prompt_tokens":30,"completion_tokens":15,"total_tokens":45,
                    "prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":0}}"#,
            ));
        }
        let events = events(&out);
        let (done, chunks) = events.split_last().unwrap();
        let chunks: Vec<String> = chunks.iter().map(|(_, data)| canonical(&object(data))).collect();
        assert_eq!(chunks, expected);
        assert_eq!(done.1, "[DONE]");
        assert!(events.iter().all(|(name, _)| name.is_empty()) && stream.is_ended());
        stream.end().unwrap();
    }
}

#[test]
fn a_stream_of_messages_that_is_cut_off_anywhere_is_known_to_be() {
    let (whole, _) = fed(STREAM, true);
    for cut in 0..STREAM.len() {
        let (out, stream) = fed(&STREAM[..cut], true);
        assert!(whole.starts_with(&out), "after {cut}");
        assert!(stream.end().is_err() && !stream.is_ended(), "after {cut}");
        assert!(!out.ends_with(b"[DONE]\n\n"));
    }
}

#[test]
fn an_event_left_out_or_said_twice_is_a_fault_wherever_it_matters() {
    // Pieces within a block, and what may come at any time, can be missing without the shape being wrong.
    let free = |event: &str| {
        event.contains("_delta\",\"index") || ["ping", "a_kind_of_next_year"].contains(&&*name(event))
    };
    for (place, event) in STREAM.iter().enumerate().filter(|(_, event)| !free(event)) {
        let without = [&STREAM[..place], &STREAM[place + 1..]].concat();
        let twice = [&STREAM[..=place], &STREAM[place..]].concat();
        for stream in [without, twice] {
            let mut translated = ChatStream::new(7, "gpt", true);
            let mut feed = stream.iter().map(|event| translated.event("", event.as_bytes(), &mut Vec::new()));
            let fault = feed.any(|result| result.is_err());
            assert!(fault || translated.end().is_err(), "{event}");
        }
    }
}

#[test]
fn an_error_within_a_stream_of_messages_ends_it_as_one_of_openai() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let expected =
        r#"{"error":{"message":"Overloaded","type":"server_error","param":null,"code":"overloaded"}}"#;
    for cut in 0..STREAM.len() {
        let (mut out, mut stream) = fed(&STREAM[..cut], true);
        stream.event("error", error.as_bytes(), &mut out).unwrap();
        assert_eq!(events(&out).pop().unwrap().1, expected);
        assert!(stream.is_ended() && stream.end().is_ok());
        assert!(stream.event("ping", br#"{"type":"ping"}"#, &mut out).is_err(), "nothing comes after it");
    }
}

#[test]
fn events_that_cannot_stand_there_are_faults() {
    let bad = [
        (0, "message_start", "not JSON"),
        (0, "message_start", r#"{"type":"message_stop"}"#),
        (0, "", "[]"),
        (0, "", "{}"),
        (1, "", r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#),
        (1, "", r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use"}}"#),
        (
            2,
            "",
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"a"}}"#,
        ),
        (2, "", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#),
        (2, "", r#"{"type":"content_block_delta","index":0,"delta":{"type":"picture_delta"}}"#),
        (2, "", r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":7}}"#),
        (5, "", r#"{"type":"message_delta","delta":{"stop_reason":"bored"},"usage":{}}"#),
        (5, "", r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":-1}}"#),
        (5, "", r#"{"type":"message_stop"}"#),
    ];
    for (after, name, event) in bad {
        let (mut out, mut stream) = fed(&STREAM[..after], true);
        let before = out.clone();
        assert!(stream.event(name, event.as_bytes(), &mut out).is_err(), "{event}");
        assert_eq!(out, before, "{event}");
    }
}

#[test]
fn a_call_whose_input_is_whole_at_once_is_said_at_once() {
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{"x":1.0}}}"#;
    let (out, _) = fed(&[STREAM[0], start, r#"{"type":"content_block_stop","index":0}"#], false);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(r#""function":{"name":"f","arguments":"{\"x\":1.0}"}"#) && !text.contains("{}\""),
        "{text}"
    );
}
