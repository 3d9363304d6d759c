//! Streams.

use super::*;

const CHAT: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null,"obfuscation":"x1"}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","choices":[{"index":0,"delta":{"content":"Grüße"},"finish_reason":null}],"usage":null,"obfuscation":"x"}

: keep-alive

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"now","arguments":"{\"a\":"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":2}}}

data: [DONE]

"#;

const MESSAGES: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60},"output_tokens":1,"service_tier":"standard"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me see"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"now","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"Zü"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":7,"output_tokens":89,"output_tokens_details":{"thinking_tokens":9},"server_tool_use":{"web_search_requests":1}}}

event: message_stop
data: {"type":"message_stop"}

"#;

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","output":[],"usage":null,"service_tier":"auto"}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"now","arguments":"","status":"in_progress"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":2,"item_id":"fc_1","output_index":0,"delta":"{\"a\":1}"}

event: response.function_call_arguments.done
data: {"type":"response.function_call_arguments.done","sequence_number":3,"item_id":"fc_1","output_index":0,"arguments":"{\"a\":1}"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":4,"output_index":1,"item":{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"x"}}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_1","output_index":2,"content_index":0,"delta":"Hello"}

event: response.completed
data: {"type":"response.completed","sequence_number":6,"response":{"id":"resp_1","status":"completed","error":null,"incomplete_details":null,"output":[{"type":"web_search_call","action":{"type":"search"}}],"service_tier":"default","usage":{"input_tokens":37,"input_tokens_details":{"cached_tokens":30},"output_tokens":11,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":48}}}

"#;

fn complete() -> [(Api, &'static str, Counted); 3] {
    let counted = Counted {
        input_reported: true,
        output_reported: true,
        finished: true,
        finish: Some("tool_calls".into()),
        tier: Some("default".into()),
        ..Counted::default()
    };
    let chat =
        Counted { reported: Some(usage([19, 0, 0, 0, 8, 2])), output_bytes: 7 + 3 + 5, ..counted.clone() };
    let messages = Counted {
        reported: Some(usage([25, 7, 40, 60, 80, 9])),
        output_bytes: 10 + 3 + 13,
        tier: Some("standard".into()),
        finish: Some("tool_use".into()),
        hosted: uses(&[("web_search", 1)]),
        ..counted.clone()
    };
    let responses = Counted {
        reported: Some(usage([7, 30, 0, 0, 11, 0])),
        output_bytes: 3 + 7 + 5,
        finish: Some("completed".into()),
        hosted: uses(&[("web_search", 1)]),
        ..counted
    };
    [(Api::Chat, CHAT, chat), (Api::Messages, MESSAGES, messages), (Api::Responses, RESPONSES, responses)]
}

#[test]
fn a_stream_passes_byte_for_byte_and_is_counted_however_it_is_cut() {
    for (api, stream, expected) in complete() {
        let (_, first) = metered(api, false, stream, stream.len());
        assert_eq!(Counted { output_tokens_counted: 0, ..first.clone() }, expected, "{api:?}");
        assert!((4..=20).contains(&first.output_tokens_counted), "{api:?} {}", first.output_tokens_counted);
        assert!(first.is_exact());
        assert_eq!(first.usage(1), expected.reported.unwrap());
        for piece in [1, 2, 3, 7, 64, 1_000] {
            let (passed, counted) = metered(api, false, stream, piece);
            assert_eq!(passed, stream, "{api:?}");
            assert_eq!(counted, first, "{api:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_usage_that_the_client_did_not_ask_for_is_hidden_and_all_else_stays() {
    let (passed, counted) = metered(Api::Chat, true, CHAT, 50);
    let usage_chunk = CHAT.split("\n\n").find(|chunk| chunk.contains("prompt_tokens")).unwrap();
    let expected = CHAT.replace(&format!("{usage_chunk}\n\n"), "").replace(r#","usage":null"#, "");
    assert_eq!(passed, expected);
    assert_eq!(counted, metered(Api::Chat, false, CHAT, 50).1, "hidden, and counted all the same");
}

#[test]
fn a_usage_beside_choices_is_taken_out_of_its_chunk_only() {
    let stream = "data: {\"a\":1.50,\"choices\":[{\"delta\":{\"content\":\"é\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"z\":\"\\u00e9\"}\n\n\
        data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    let (passed, counted) = metered(Api::Chat, true, stream, 10);
    let expected = "data: {\"a\":1.50,\"choices\":[{\"delta\":{\"content\":\"é\"}}],\"z\":\"é\"}\n\n\
        data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    assert_eq!(passed, expected);
    assert_eq!(counted.reported, Some(usage([1, 0, 0, 0, 1, 0])));
}

#[test]
fn a_stream_that_breaks_off_is_settled_at_what_was_counted() {
    for (api, stream, cut, input) in [
        (Api::Chat, CHAT, "tool_calls\"}],\"usage\":null}\n\n", usage([500, 0, 0, 0, 0, 0])),
        (Api::Messages, MESSAGES, "event: message_delta", usage([25, 7, 40, 60, 0, 0])),
        (Api::Responses, RESPONSES, "event: response.completed", usage([500, 0, 0, 0, 0, 0])),
    ] {
        let at = stream.find(cut).unwrap();
        let at = if api == Api::Chat { at + cut.len() } else { at };
        let (_, counted) = metered(api, false, &stream[..at], 100);
        assert!(!counted.finished && !counted.is_exact() && !counted.output_reported, "{api:?}");
        assert_eq!(counted.input_reported, api == Api::Messages);
        let settled = counted.usage(500);
        assert_eq!(settled, Usage { output: counted.output_tokens_counted, ..input }, "{api:?}");
        assert!(settled.output >= 4);
    }
}

#[test]
fn a_usage_that_comes_twice_is_flagged_and_the_larger_counts() {
    let chunk = |usage: &str| format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    let small = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#;
    let large = r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19}"#;
    for (first, second, doubtful) in [(small, large, false), (large, small, true), (small, small, false)] {
        let (_, counted) = metered(Api::Chat, false, &(chunk(first) + &chunk(second)), 100);
        let expected = if first == second { 5 } else { 9 };
        assert_eq!(counted.reported, Some(usage([10, 0, 0, 0, expected, 0])));
        assert_eq!((counted.repeated, counted.doubtful), (true, doubtful), "{first} {second}");
    }
    let (start, rest) = MESSAGES.split_at(MESSAGES.find("event: content_block_start").unwrap());
    let (_, counted) = metered(Api::Messages, false, &format!("{start}{start}{rest}"), 100);
    assert!(counted.repeated && !counted.doubtful);
    let falling = MESSAGES.replace("\"input_tokens\":25,\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":7,\"output_tokens\":89", "\"input_tokens\":3,\"output_tokens\":89");
    let (_, counted) = metered(Api::Messages, false, &falling, 100);
    assert_eq!((counted.reported.unwrap().input, counted.doubtful), (25, true));
}

#[test]
fn a_message_delta_without_a_count_does_not_make_the_first_one_final() {
    let stream =
        MESSAGES.replace(r#""output_tokens":89,"output_tokens_details":{"thinking_tokens":9}"#, r#""x":0"#);
    let (_, counted) = metered(Api::Messages, false, &stream, 100);
    assert_eq!((counted.output_reported, counted.finished), (false, true));
    assert_eq!(counted.usage(0).output, counted.output_tokens_counted);
}

#[test]
fn a_usage_that_is_too_little_for_what_passed_does_not_settle() {
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\ndata: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":4,\"completion_tokens\":1,\"total_tokens\":5}}}}\n\n",
        "word ".repeat(100)
    );
    let (_, counted) = metered(Api::Chat, false, &stream, 100);
    assert!(counted.doubtful && !counted.is_exact());
    assert_eq!(counted.usage(9), usage([4, 0, 0, 0, counted.output_tokens_counted, 0]));
}

#[test]
fn a_response_whose_text_never_came_as_deltas_is_counted_at_the_end() {
    let stream = "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"content_filter\"},\
        \"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"all at once\"}]}]}}\n\n";
    let (_, counted) = metered(Api::Responses, false, stream, 100);
    assert_eq!((counted.output_bytes, counted.finished, counted.reported), (11, true, None));
    assert_eq!(counted.finish.as_deref(), Some("content_filter"));
}

#[test]
fn billed_searches_replace_those_that_were_seen() {
    for (billed, expected) in [(4, uses(&[("web_search", 4)])), (0, uses(&[]))] {
        let usage = format!(r#""tool_usage":{{"web_search":{{"num_requests":{billed}}}}}"#);
        let stream = RESPONSES.replace(r#""service_tier":"default""#, &usage);
        assert_eq!(metered(Api::Responses, false, &stream, 100).1.hosted, expected);
    }
}

/// Prints what a chunk costs: `cargo test --release -p ringfence-llm what_a_chunk_costs -- --ignored --nocapture`.
#[test]
#[ignore = "prints a figure"]
fn what_a_chunk_costs() {
    for (api, hide_usage, chunk) in [
        (Api::Chat, false, CHAT.split_inclusive("\n\n").nth(1).unwrap()),
        (Api::Chat, true, CHAT.split_inclusive("\n\n").nth(1).unwrap()),
        (Api::Messages, false, MESSAGES.split_inclusive("\n\n").nth(3).unwrap()),
        (Api::Responses, false, RESPONSES.split_inclusive("\n\n").nth(5).unwrap()),
    ] {
        let (chunks, bytes) = (100_000, Bytes::copy_from_slice(chunk.as_bytes()));
        let mut meter = Meter::new(api, Tokenizer::O200k, hide_usage);
        let mut reader = Reader::new(100_000);
        let mut passed = 0;
        let start = std::time::Instant::now();
        for _ in 0..chunks {
            reader.push(bytes.clone());
            while let Some(event) = reader.next_event().unwrap() {
                passed += match meter.event(&event).unwrap() {
                    Pass::AsIs => event.raw.len(),
                    Pass::Instead(bytes) => bytes.len(),
                    Pass::Hidden => 0,
                };
            }
        }
        let each = start.elapsed() / chunks;
        println!("{api:?}, usage hidden {hide_usage}: {} bytes in {each:?} ({passed} passed)", chunk.len());
    }
}

#[test]
fn a_model_has_begun_when_it_writes_and_not_when_its_provider_is_alive() {
    let alive = [
        (
            Api::Chat,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        ),
        (
            Api::Messages,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
        ),
        (Api::Messages, "event: ping\ndata: {\"type\":\"ping\"}\n\n: comment\n\n"),
        (
            Api::Messages,
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        ),
        (
            Api::Responses,
            "data: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\"}}\n\n",
        ),
        (
            Api::Responses,
            "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\"}}\n\n",
        ),
    ];
    let begun = [
        (Api::Chat, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"),
        (Api::Chat, "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"a\"}}]}\n\n"),
        (Api::Chat, "data: [DONE]\n\n"),
        (
            Api::Messages,
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
        ),
        (
            Api::Messages,
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"name\":\"now\",\"input\":{}}}\n\n",
        ),
        (
            Api::Responses,
            "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\"}}\n\n",
        ),
        (Api::Responses, "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"),
        (Api::Responses, "data: {\"type\":\"error\",\"code\":\"server_error\"}\n\n"),
    ];
    let all = alive.map(|case| (case, false)).into_iter().chain(begun.map(|case| (case, true)));
    for ((api, text), has_begun) in all {
        let mut meter = Meter::new(api, Tokenizer::Bytes, false);
        let mut reader = Reader::new(100_000);
        reader.push(Bytes::from_static(text.as_bytes()));
        while let Some(event) = reader.next_event().unwrap() {
            meter.event(&event).unwrap();
        }
        assert_eq!(meter.has_begun(), has_begun, "{api:?} {text}");
    }
}
