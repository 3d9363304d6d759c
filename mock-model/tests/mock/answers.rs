//! What the providers' clients are given.

use crate::client::{ask, post, start};
use serde_json::json;

const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];

#[tokio::test]
async fn plain_answers_have_the_text_and_the_usage_of_their_provider() {
    let mock = start().await;
    let directives = "tokens=5,input=30,cached=10,reasoning=2";
    for (path, text, usage, input, cached) in [
        (
            PATHS[0],
            "/choices/0/message/content",
            "/usage/completion_tokens",
            "/usage/prompt_tokens",
            "/usage/prompt_tokens_details/cached_tokens",
        ),
        (
            PATHS[1],
            "/output/1/content/0/text",
            "/usage/output_tokens",
            "/usage/input_tokens",
            "/usage/input_tokens_details/cached_tokens",
        ),
    ] {
        let came = post(mock.address(), path, "", &ask(path, directives, "")).await.json();
        assert_eq!(came.pointer(text), Some(&json!("the state of all parts")), "{came}");
        assert_eq!(came.pointer(usage), Some(&json!(7)));
        assert_eq!(came.pointer(input), Some(&json!(30)));
        assert_eq!(came.pointer(cached), Some(&json!(10)));
    }
    // Anthropic counts what was cached apart.
    let came = post(mock.address(), PATHS[2], "", &ask(PATHS[2], directives, "")).await.json();
    assert_eq!(came.pointer("/content/1/text"), Some(&json!("the state of all parts")));
    assert_eq!(came["usage"]["input_tokens"], 20);
    assert_eq!(came["usage"]["cache_read_input_tokens"], 10);
    assert_eq!(came["usage"]["output_tokens"], 7);
}

#[tokio::test]
async fn streams_make_the_same_text_as_plain_answers() {
    let mock = start().await;
    for path in PATHS {
        let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
        let came = post(mock.address(), path, "", &ask(path, "tokens=9,chunks=4", more)).await;
        assert!(came.complete && came.head.contains("text/event-stream"), "{}", came.head);
        let text: String = came.events().iter().filter_map(piece).collect();
        assert_eq!(text, "the state of all parts is good and we", "{path}");
    }
}

fn piece(event: &serde_json::Value) -> Option<String> {
    let chat = event.pointer("/choices/0/delta/content");
    let message = event.pointer("/delta/text");
    let response = event.get("delta").filter(|_| event["type"] == "response.output_text.delta");
    chat.or(message).or(response)?.as_str().map(str::to_owned)
}

#[tokio::test]
async fn usage_of_a_chat_stream_comes_only_if_it_is_asked_for() {
    let mock = start().await;
    let usages = async |directives: &str, more: &str| {
        let body = ask(PATHS[0], directives, &format!(r#","stream":true{more}"#));
        let events = post(mock.address(), PATHS[0], "", &body).await.events();
        events.iter().filter(|event| event["usage"].is_object()).count()
    };
    let asked = r#","stream_options":{"include_usage":true}"#;
    assert_eq!(usages("tokens=2", "").await, 0);
    assert_eq!(usages("tokens=2", asked).await, 1);
    assert_eq!(usages("tokens=2,usage=twice", asked).await, 2);
    assert_eq!(usages("tokens=2,usage=none", asked).await, 0);
}

#[tokio::test]
async fn the_limit_of_a_request_ends_its_answer_unless_told_otherwise() {
    let mock = start().await;
    for (path, limit, reason, length) in [
        (PATHS[0], "max_tokens", "/choices/0/finish_reason", "length"),
        (PATHS[0], "max_completion_tokens", "/choices/0/finish_reason", "length"),
        (PATHS[1], "max_output_tokens", "/incomplete_details/reason", "max_output_tokens"),
        (PATHS[2], "max_tokens", "/stop_reason", "max_tokens"),
    ] {
        let more = format!(r#","{limit}":3"#);
        let came = post(mock.address(), path, "", &ask(path, "tokens=9", &more)).await.json();
        assert_eq!(came.pointer(reason), Some(&json!(length)), "{came}");
        let came = post(mock.address(), path, "", &ask(path, "tokens=9,ignore_max", &more)).await.json();
        assert_ne!(came.pointer(reason), Some(&json!(length)), "{came}");
    }
    assert_eq!(mock.stats().all.output, 4 * 3 + 4 * 9);
}

#[tokio::test]
async fn tools_are_called_until_they_have_answered() {
    let mock = start().await;
    let first = ask(PATHS[0], "tool=find,args=city:Paris", "");
    let came = post(mock.address(), PATHS[0], "", &first).await.json();
    assert_eq!(
        came["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
        r#"{"city":"Paris"}"#
    );
    assert_eq!(came["choices"][0]["finish_reason"], "tool_calls");
    let second = first.replace("}]", r#"},{"role":"tool","tool_call_id":"c","content":"found"}]"#);
    let came = post(mock.address(), PATHS[0], "", &second).await.json();
    assert_eq!(came["choices"][0]["finish_reason"], "stop");
    let again = second.replace("tool=find", "again,tool=find");
    let came = post(mock.address(), PATHS[0], "", &again).await.json();
    assert_eq!(came["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn directives_come_by_the_model_the_message_and_headers() {
    let mock = start().await;
    let body =
        r#"{"model":"m/mock:tokens=1,input=9","messages":[{"role":"user","content":"mock:tokens=2"}]}"#;
    let came = post(mock.address(), PATHS[0], "x-mock-tokens: 3\r\n", body).await.json();
    assert_eq!(
        (&came["usage"]["completion_tokens"], &came["usage"]["prompt_tokens"]),
        (&json!(3), &json!(9))
    );
    let came = post(mock.address(), PATHS[0], "", body).await.json();
    assert_eq!(came["usage"]["completion_tokens"], 2);
    let came = post(mock.address(), PATHS[0], "x-mock: tokns=3\r\n", body).await;
    assert!(came.head.starts_with("http/1.1 400"), "{}", came.head);
}
