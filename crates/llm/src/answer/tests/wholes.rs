//! Whole answers.

use super::*;

#[test]
fn a_chat_completion_is_read() {
    let answer = json(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5","choices":[
        {"index":0,"message":{"role":"assistant","content":"Hällo","refusal":null,"reasoning":"hm","tool_calls":[
            {"id":"call_1","type":"function","function":{"name":"now","arguments":"{\"a\":1}"}},
            {"id":"call_2","type":"custom","custom":{"name":"sh","input":"ls"}}]},"logprobs":null,"finish_reason":"tool_calls"},
        {"index":1,"message":{"role":"assistant","content":[{"type":"text","text":"12"}]},"finish_reason":"length"}],
        "usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21},"service_tier":"flex"}"#,
    );
    let read = whole(Api::Chat, &answer);
    assert_eq!(
        read,
        Answered {
            usage: Some(usage([9, 0, 0, 0, 12, 0])),
            tier: Some("flex".into()),
            output_bytes: 6 + 2 + 3 + 7 + 2 + 2 + 2,
            finish: Some("length".into()),
            ..Answered::default()
        }
    );
    assert!(output_tokens(Api::Chat, &answer, Tokenizer::O200k) >= 7);
}

#[test]
fn a_response_is_read_with_the_tools_it_used() {
    let items = r#"[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Think"}],"encrypted_content":"AAAAAAAA"},
        {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"rust"}},
        {"type":"web_search_call","id":"ws_2","status":"completed","action":{"type":"open_page","url":"https://a.example"}},
        {"type":"code_interpreter_call","id":"ci_1","code":"1+1","outputs":[]},
        {"type":"function_call","id":"fc_1","call_id":"call_1","name":"now","arguments":"{}"},
        {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}]"#;
    let usage_text = r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":30}"#;
    let answer = |more: &str| {
        json(&format!(
            r#"{{"id":"resp_1","object":"response","status":"incomplete","incomplete_details":{{"reason":"max_output_tokens"}},"error":null,"output":{items},"service_tier":"priority","usage":{usage_text}{more}}}"#
        ))
    };
    let read = whole(Api::Responses, &answer(""));
    assert_eq!(
        read,
        Answered {
            usage: Some(usage([10, 0, 0, 0, 15, 5])),
            tier: Some("priority".into()),
            hosted: uses(&[("web_search", 1), ("code_interpreter", 1)]),
            output_bytes: 5 + 8 + 4 + 3 + 3 + 2 + 2,
            finish: Some("max_output_tokens".into()),
            ..Answered::default()
        }
    );
    let counted = whole(Api::Responses, &answer(r#","tool_usage":{"web_search":{"num_requests":3}}"#));
    assert_eq!(counted.hosted, uses(&[("code_interpreter", 1), ("web_search", 3)]));
    let none = whole(Api::Responses, &answer(r#","tool_usage":{"web_search":{"num_requests":0}}"#));
    assert_eq!(none.hosted, uses(&[("code_interpreter", 1)]));
}

#[test]
fn a_response_that_failed_says_so() {
    let read = whole(
        Api::Responses,
        &json(
            r#"{"status":"failed","error":{"code":"server_error","message":"m"},"output":[],"usage":null}"#,
        ),
    );
    assert_eq!(
        (read.failed, read.finish),
        (Some(Failed { kind: "server_error".into() }), Some("failed".into()))
    );
}

#[test]
fn a_message_is_read_with_its_tier_and_the_tools_it_used() {
    let answer = json(
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[
        {"type":"thinking","thinking":"hmm","signature":"EqQBCgIYAhIM"},
        {"type":"redacted_thinking","data":"AAAA"},
        {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"rust"}},
        {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","title":"long"}]},
        {"type":"tool_use","id":"toolu_1","name":"now","input":{"n":[10,true]}},
        {"type":"text","text":"Hi"}],"stop_reason":"tool_use","stop_sequence":null,
        "usage":{"input_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":30,
        "server_tool_use":{"web_search_requests":2,"web_fetch_requests":0},"service_tier":"standard"}}"#,
    );
    assert_eq!(
        whole(Api::Messages, &answer),
        Answered {
            usage: Some(usage([5, 0, 0, 0, 30, 0])),
            tier: Some("standard".into()),
            hosted: uses(&[("web_search", 2)]),
            output_bytes: 3 + 4 + (10 + 5 + 4) + (3 + 1 + 2 + 4) + 2,
            finish: Some("tool_use".into()),
            ..Answered::default()
        }
    );
    let fast =
        json(r#"{"usage":{"input_tokens":5,"output_tokens":1,"service_tier":"standard","speed":"fast"}}"#);
    assert_eq!(whole(Api::Messages, &fast).tier, Some("fast".into()));
    let usual = json(
        r#"{"usage":{"input_tokens":5,"output_tokens":1,"service_tier":"priority","speed":"standard"}}"#,
    );
    assert_eq!(whole(Api::Messages, &usual).tier, Some("priority".into()));
    let lies = json(
        r#"{"usage":{"input_tokens":5,"output_tokens":1,"server_tool_use":{"web_search_requests":-1}}}"#,
    );
    assert!(whole(Api::Messages, &lies).doubtful);
}

#[test]
fn an_error_for_an_answer_is_one_in_every_api() {
    let openai = json(r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#);
    let anthropic = json(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    for (api, answer, kind) in [
        (Api::Chat, &openai, "server_error"),
        (Api::Responses, &openai, "server_error"),
        (Api::Messages, &anthropic, "overloaded_error"),
    ] {
        assert_eq!(whole(api, answer).failed, Some(Failed { kind: kind.into() }), "{api:?}");
    }
}
