//! What is changed before a request is sent.

use ringfence_json::Value;

use super::super::{
    ChatLimit, NotApplicable, ask_usage, canonical_for_cache, set_answers, set_model, set_output,
    set_store_false, set_tier,
};
use super::object;
use crate::Api;

fn changed(text: &str, change: impl FnOnce(&mut ringfence_json::Object)) -> String {
    let mut request = object(text);
    change(&mut request);
    Value::from(request).to_string()
}

#[test]
fn a_limit_is_set_under_the_name_that_is_used() {
    use ChatLimit::{MaxCompletionTokens, MaxTokens};
    for (api, before, unsaid, after) in [
        (Api::Chat, r#"{"a":1}"#, MaxTokens, r#"{"a":1,"max_tokens":7}"#),
        (Api::Chat, r#"{"a":1}"#, MaxCompletionTokens, r#"{"a":1,"max_completion_tokens":7}"#),
        (Api::Chat, r#"{"max_tokens":9,"a":1}"#, MaxCompletionTokens, r#"{"max_tokens":7,"a":1}"#),
        (
            Api::Chat,
            r#"{"max_tokens":null}"#,
            MaxCompletionTokens,
            r#"{"max_tokens":null,"max_completion_tokens":7}"#,
        ),
        (
            Api::Chat,
            r#"{"max_tokens":9,"max_completion_tokens":9}"#,
            MaxTokens,
            r#"{"max_tokens":7,"max_completion_tokens":7}"#,
        ),
        (Api::Responses, "{}", MaxTokens, r#"{"max_output_tokens":7}"#),
        (Api::Messages, r#"{"max_tokens":9}"#, MaxCompletionTokens, r#"{"max_tokens":7}"#),
    ] {
        let set = changed(before, |request| set_output(request, api, 7, unsaid).unwrap());
        assert_eq!(set, after, "{before}");
    }
    let mut request = object("{}");
    let none = set_output(&mut request, Api::Embeddings, 7, MaxTokens);
    assert!(matches!(none, Err(NotApplicable::NoPlace(_))) && request.is_empty());
}

#[test]
fn thinking_is_kept_below_the_limit_or_the_limit_is_refused() {
    let text = r#"{"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":8000}}"#;
    let set = |limit| {
        let mut request = object(text);
        let done = set_output(&mut request, Api::Messages, limit, ChatLimit::MaxTokens);
        (done, Value::from(request).to_string())
    };
    assert_eq!(set(8_001), (Ok(()), text.replace("9000", "8001")));
    assert_eq!(set(8_000), (Ok(()), text.replace("8000", "7999").replace("9000", "8000")));
    assert_eq!(set(1_025), (Ok(()), text.replace("8000", "1024").replace("9000", "1025")));
    assert_eq!(set(1_024), (Err(NotApplicable::Thinking), text.to_owned()), "nothing is half changed");
}

#[test]
fn usage_is_asked_for_only_where_it_has_to_be() {
    for (before, after) in [
        (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (
            r#"{"stream":true,"stream_options":null}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":false}}"#,
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}"#,
        ),
        (r#"{"stream":false}"#, r#"{"stream":false}"#),
        ("{}", "{}"),
    ] {
        assert_eq!(changed(before, |request| ask_usage(request, Api::Chat)), after);
        assert_eq!(changed(before, |request| ask_usage(request, Api::Responses)), before);
        assert_eq!(changed(before, |request| ask_usage(request, Api::Messages)), before);
    }
}

#[test]
fn keeping_is_turned_off() {
    let set = |text, api, reasoning| changed(text, |request| set_store_false(request, api, reasoning));
    assert_eq!(set("{}", Api::Responses, false), r#"{"store":false}"#);
    let included = r#"{"store":false,"include":["reasoning.encrypted_content"]}"#;
    assert_eq!(set(r#"{"store":null}"#, Api::Responses, true), included);
    assert_eq!(set(included, Api::Responses, true), included);
    let more = set(r#"{"include":["a"]}"#, Api::Responses, true);
    assert_eq!(more, r#"{"include":["a","reasoning.encrypted_content"],"store":false}"#);
    assert_eq!(set("{}", Api::Chat, true), "{}", "nothing is kept unless asked for");
    assert_eq!(set("{}", Api::Messages, true), "{}");
}

#[test]
fn names_numbers_and_tiers_are_set() {
    assert_eq!(changed(r#"{"model":"a"}"#, |request| set_model(request, "b")), r#"{"model":"b"}"#);
    assert_eq!(changed(r#"{"n":3}"#, |request| set_answers(request, Api::Chat, 1).unwrap()), r#"{"n":1}"#);
    assert_eq!(changed("{}", |request| set_answers(request, Api::Messages, 1).unwrap()), "{}");
    assert!(set_answers(&mut object("{}"), Api::Responses, 2).is_err());
    assert_eq!(
        changed("{}", |request| set_tier(request, Api::Chat, "flex").unwrap()),
        r#"{"service_tier":"flex"}"#
    );
    assert!(set_tier(&mut object("{}"), Api::Embeddings, "flex").is_err());
}

#[test]
fn what_no_answer_depends_on_makes_no_other_request() {
    let of = |api, text: &str| canonical_for_cache(api, &object(text));
    let plain = r#"{"model":"m","temperature":0,"messages":[{"role":"user","content":"hi"}]}"#;
    let marked = r#"{"messages":[{"content":"hi","role":"user"}],"temperature":0,"model":"other",
        "user":"u","metadata":{"a":"b"},"seed":null,
        "stream":true,"stream_options":{"include_usage":true},"store":false,"service_tier":"flex",
        "prompt_cache_key":"k","safety_identifier":"s"}"#;
    assert_eq!(of(Api::Chat, plain), of(Api::Chat, marked));
    assert_ne!(of(Api::Chat, plain), of(Api::Messages, plain));
    let fast = plain.replace("\"temperature\":0", "\"temperature\":0,\"speed\":\"fast\"");
    assert_eq!(of(Api::Messages, plain), of(Api::Messages, &fast));
    for other in ["\"temperature\":1", "\"temperature\":0,\"n\":2", "\"temperature\":0,\"tools\":[]"] {
        let other = plain.replace("\"temperature\":0", other);
        assert_ne!(of(Api::Chat, plain), of(Api::Chat, &other), "{other}");
    }
}
