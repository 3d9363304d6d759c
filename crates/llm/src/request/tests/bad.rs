//! Requests that cannot be.

use super::super::{ObjectionKind, Switches, read};
use super::{object, plain};
use crate::Api;

const HI: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

#[test]
fn what_cannot_be_is_refused_and_named() {
    for (api, text, param) in [
        (Api::Chat, format!(r"{{{HI}}}"), "model"),
        (Api::Chat, format!(r#"{{"model":"",{HI}}}"#), "model"),
        (Api::Chat, format!(r#"{{"model":7,{HI}}}"#), "model"),
        (Api::Chat, format!(r#"{{"model":"{}",{HI}}}"#, "m".repeat(257)), "model"),
        (Api::Chat, r#"{"model":"m"}"#.into(), "messages"),
        (Api::Messages, r#"{"model":"m","messages":null}"#.into(), "messages"),
        (Api::Responses, r#"{"model":"m"}"#.into(), "input"),
        (Api::Chat, r#"{"model":"m","messages":"hi"}"#.into(), "messages"),
        (Api::Chat, r#"{"model":"m","messages":[null]}"#.into(), "messages[0]"),
        (
            Api::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":5}]}"#.into(),
            "messages[0].content",
        ),
        (
            Api::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":["hi"]}]}"#.into(),
            "messages[0].content[0]",
        ),
        (
            Api::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":[{}]}]}"#.into(),
            "messages[0].content[0].type",
        ),
        (
            Api::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":{}}]}]}"#.into(),
            "messages[0].content[0].type",
        ),
        (Api::Messages, r#"{"model":"m","messages":[{"role":5,"content":""}]}"#.into(), "messages[0].role"),
        (Api::Responses, r#"{"model":"m","input":{"role":"user"}}"#.into(), "input"),
        (Api::Responses, r#"{"model":"m","input":"","text":"json"}"#.into(), "text"),
        (Api::Chat, format!(r#"{{"model":"m","tools":{{}},{HI}}}"#), "tools"),
        (Api::Chat, format!(r#"{{"model":"m","tools":[{{"type":"function"}}],{HI}}}"#), "tools[0]"),
        (
            Api::Chat,
            format!(r#"{{"model":"m","tools":[{{"type":"function","function":{{"name":""}}}}],{HI}}}"#),
            "tools[0]",
        ),
        (Api::Messages, format!(r#"{{"model":"m","tools":[{{"input_schema":{{}}}}],{HI}}}"#), "tools[0]"),
        (
            Api::Messages,
            format!(r#"{{"model":"m","tools":[{{"type":"web_search_20250305","max_uses":-1}}],{HI}}}"#),
            "tools[0].max_uses",
        ),
        (Api::Chat, format!(r#"{{"model":"m","stream":"yes",{HI}}}"#), "stream"),
        (Api::Chat, format!(r#"{{"model":"m","stream_options":true,{HI}}}"#), "stream_options"),
        (
            Api::Chat,
            format!(r#"{{"model":"m","stream_options":{{"include_usage":1}},{HI}}}"#),
            "stream_options.include_usage",
        ),
        (
            Api::Chat,
            format!(r#"{{"model":"m","max_tokens":5,"max_completion_tokens":6,{HI}}}"#),
            "max_tokens",
        ),
        (Api::Chat, format!(r#"{{"model":"m","service_tier":"Flex me",{HI}}}"#), "service_tier"),
        (Api::Chat, format!(r#"{{"model":"m","service_tier":"",{HI}}}"#), "service_tier"),
        (Api::Chat, format!(r#"{{"model":"m","logprobs":"x",{HI}}}"#), "logprobs"),
        (
            Api::Messages,
            format!(
                r#"{{"model":"m","max_tokens":2000,"thinking":{{"type":"enabled","budget_tokens":2000}},{HI}}}"#
            ),
            "thinking.budget_tokens",
        ),
        (Api::Messages, format!(r#"{{"model":"m","cache_control":"ephemeral",{HI}}}"#), "cache_control"),
        (Api::Messages, format!(r#"{{"model":"m","inference_geo":["us"],{HI}}}"#), "inference_geo"),
    ] {
        let objection = plain(api, &text).expect_err(&text);
        assert_eq!(
            (objection.kind, objection.param.as_str()),
            (ObjectionKind::Invalid, param),
            "{text}: {objection}"
        );
        assert!(objection.message.starts_with(param), "{objection}");
    }
}

#[test]
fn numbers_are_whole_and_within_bounds() {
    for number in ["-1", "1.5", "1e3", "1.0", "18446744073709551616", "99999999999", r#""5""#, "true", "[]"] {
        for (api, name) in [
            (Api::Chat, "max_tokens"),
            (Api::Chat, "max_completion_tokens"),
            (Api::Chat, "n"),
            (Api::Messages, "max_tokens"),
        ] {
            let text = format!(r#"{{"model":"m","{name}":{number},{HI}}}"#);
            let objection = plain(api, &text).expect_err(&text);
            assert_eq!((objection.kind, objection.param.as_str()), (ObjectionKind::Invalid, name), "{text}");
        }
        for name in ["max_output_tokens", "max_tool_calls"] {
            let text = format!(r#"{{"model":"m","input":"","{name}":{number}}}"#);
            assert_eq!(plain(Api::Responses, &text).expect_err(&text).param, name);
        }
    }
    for (name, number) in [("n", "0"), ("n", "129"), ("max_tokens", "0")] {
        assert!(
            plain(Api::Chat, &format!(r#"{{"model":"m","{name}":{number},{HI}}}"#)).is_err(),
            "{name} {number}"
        );
    }
    let warm = format!(r#"{{"model":"m","max_tokens":0,{HI}}}"#);
    assert_eq!(plain(Api::Messages, &warm).unwrap().output, Some(0), "it only fills the cache");
    let twice = format!(r#"{{"model":"m","max_tokens":5,"max_completion_tokens":5,"n":null,{HI}}}"#);
    assert_eq!(plain(Api::Chat, &twice).unwrap().output, Some(5));
}

#[test]
fn an_inline_image_is_one() {
    for url in ["data:text/html;base64,AAAA", "data:image/png,AAAA", "data:application/pdf;base64,AAAA"] {
        let part = format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
        let text = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        let all = Switches { pass_unknown: true, remote: true, stored: true, hosted: Vec::new() };
        let objection = read(Api::Chat, &object(&text), &all).expect_err(url);
        assert_eq!(objection.kind, ObjectionKind::Invalid, "{url}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_before_anybody_follows_it() {
    let mut deep = ringfence_json::Value::Null;
    for _ in 0..5_000 {
        deep = ringfence_json::Value::Array(vec![deep]);
    }
    let mut request = object(&format!(r#"{{"model":"m",{HI}}}"#));
    request.insert("metadata", deep);
    let objection = read(Api::Chat, &request, &Switches::default()).unwrap_err();
    assert_eq!((objection.kind, objection.param.as_str()), (ObjectionKind::Invalid, ""));
}

#[test]
fn an_objection_repeats_no_content() {
    let secret = "hunter2";
    for text in [
        format!(r#"{{"model":"m","service_tier":"{secret} {secret}",{HI}}}"#),
        format!(r#"{{"model":"m","messages":[{{"role":"{secret}","content":""}}]}}"#),
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"{secret}"}}]}}]}}"#),
        format!(r#"{{"model":"m","store":"{secret}",{HI}}}"#),
        format!(r#"{{"model":"m","stream":"{secret}",{HI}}}"#),
    ] {
        let objection = plain(Api::Chat, &text).expect_err(&text);
        assert!(!format!("{objection:?}").contains(secret), "{objection:?}");
    }
    let name = "x\u{1b}[31m".repeat(1_000);
    let request = object(&format!(r#"{{"model":"m",{HI}}}"#)).with(name.as_str(), 1_u64);
    let objection = read(Api::Chat, &request, &Switches::default()).unwrap_err();
    assert!(objection.message.len() < 300 && !objection.message.contains('\u{1b}'), "{objection}");
}

#[test]
fn unknown_fields_that_go_on_are_few() {
    let pass = Switches { pass_unknown: true, ..Switches::default() };
    let with = |count: u32| {
        let request = object(&format!(r#"{{"model":"m",{HI}}}"#));
        (0..count).fold(request, |request, number| request.with(format!("field_{number}"), 1_u64))
    };
    assert_eq!(read(Api::Chat, &with(64), &pass).unwrap().unknown.len(), 64);
    assert_eq!(read(Api::Chat, &with(65), &pass).unwrap_err().kind, ObjectionKind::Unknown);
}
