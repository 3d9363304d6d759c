//! Errors within streams, the provider's and ours.

use ringfence_json::Object;
use ringfence_types::Code;

use super::*;
use crate::events::Event;

#[test]
fn an_error_within_a_stream_is_seen_and_passes_without_a_key() {
    for (api, event, kind) in [
        (
            Api::Chat,
            "data: {\"error\":{\"message\":\"busy, sk-abcdefghijklmnop\",\"type\":\"server_error\",\"code\":null}}\n\n",
            "server_error",
        ),
        (Api::Chat, "data: {\"error\":\"sk-abcdefghijklmnop\"}\n\n", "error"),
        (
            Api::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"sk-abcdefghijklmnop\"}}\n\n",
            "overloaded_error",
        ),
        (
            Api::Responses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"sk-abcdefghijklmnop\",\"param\":null,\"sequence_number\":3}\n\n",
            "rate_limit_exceeded",
        ),
        (
            Api::Responses,
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"sk-abcdefghijklmnop\"}}}\n\n",
            "server_error",
        ),
    ] {
        let (passed, counted) = metered(api, true, event, 20);
        assert_eq!(counted.failed, Some(Failed { kind: kind.into() }), "{event}");
        assert!(counted.finished);
        assert_eq!(passed, event.replace("sk-abcdefghijklmnop", "[redacted]"));
    }
}

#[test]
fn an_error_beside_a_usage_is_not_hidden() {
    let event = "data: {\"choices\":[],\"error\":{\"code\":502},\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let (passed, _) = metered(Api::Chat, true, event, 99);
    assert_eq!(passed, "data: {\"choices\":[],\"error\":{\"code\":502}}\n\n");
}

#[test]
fn garbage_is_an_error_and_what_is_empty_is_not() {
    let mut meter = Meter::new(Api::Chat, Tokenizer::Bytes, true);
    let mut take =
        |data: &'static str| meter.event(&Event { name: None, data: data.into(), raw: data.into() });
    for data in ["", " ", "[DONE]", " [DONE] ", "{}", "{\"choices\":7,\"usage\":7}"] {
        assert!(take(data).is_ok(), "{data}");
    }
    for data in ["{", "oops", "{\"a\":1,\"a\":2}", "\"\\ud800\""] {
        assert!(matches!(take(data), Err(Garbage::NotJson(_))), "{data}");
    }
    for data in ["[]", "null", "1"] {
        assert_eq!(take(data), Err(Garbage::NotAnObject), "{data}");
    }
}

#[test]
fn a_stream_is_ended_as_its_api_ends_one_with_an_error() {
    let decision = Object::new().with("code", "over_budget");
    let ended = |api, before: &'static str| {
        let mut meter = Meter::new(api, Tokenizer::Bytes, false);
        if !before.is_empty() {
            meter.event(&Event { name: None, data: before.into(), raw: before.into() }).unwrap();
        }
        String::from_utf8(meter.end_early(Code::OverBudget, "spent", Some(&decision)).to_vec()).unwrap()
    };
    let openai = r#"{"message":"spent","type":"insufficient_quota","param":null,"code":"over_budget","ringfence":{"code":"over_budget"}}"#;
    assert_eq!(ended(Api::Chat, ""), format!("data: {{\"error\":{openai}}}\n\n"));
    assert_eq!(
        ended(Api::Responses, r#"{"type":"response.in_progress","sequence_number":7}"#),
        format!(
            "event: error\ndata: {{\"type\":\"error\",\"sequence_number\":8,\"code\":\"over_budget\",\"message\":\"spent\",\"param\":null,\"error\":{openai}}}\n\n"
        )
    );
    assert_eq!(
        ended(Api::Messages, ""),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"spent\",\"details\":{\"error_code\":\"over_budget\"},\"ringfence\":{\"code\":\"over_budget\"}}}\n\n"
    );
}
