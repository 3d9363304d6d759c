//! Requests that somebody changed at random.

use proptest::prelude::*;
use ringfence_json::{Object, Value};

use super::super::{
    ChatLimit, Switches, apply_narrowed, ask_usage, canonical_for_cache, read, rules_view, set_output,
    set_store_false,
};
use super::object;
use crate::Api;

const SEEDS: [(Api, &str); 4] = [
    (
        Api::Chat,
        r#"{"model":"m","n":1,"stream":true,"max_tokens":5,"stream_options":{"include_usage":true},
        "tools":[{"type":"function","function":{"name":"f"}}],
        "messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},
        {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f",
        "arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"Error"}]}"#,
    ),
    (
        Api::Responses,
        r#"{"model":"m","max_output_tokens":5,"reasoning":{"effort":"low"},"tools":[{"type":"web_search"},
        {"type":"function","name":"f"}],"max_tool_calls":2,
        "input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"c","name":"f",
        "arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]}"#,
    ),
    (
        Api::Messages,
        r#"{"model":"m","max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":2000},
        "system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
        "tools":[{"type":"web_search_20250305","name":"web_search","max_uses":1}],"messages":[{"role":"user",
        "content":[{"type":"document","source":{"type":"base64","data":"A"}}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user",
        "content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"x"}]}]}]}"#,
    ),
    (Api::Embeddings, r#"{"model":"m","input":["a",[1,2]],"dimensions":5}"#),
];

/// What a place in a request is replaced by.
fn replacement() -> impl Strategy<Value = Value> {
    let words = [
        "type",
        "text",
        "user",
        "function",
        "tool_result",
        "web_search",
        "data:",
        "http://x",
        "é",
        "{",
        "Error",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(Value::Array(vec![Value::Null])),
        Just(Value::from(Object::new())),
        Just(Value::from(Object::new().with("type", "text"))),
    ]
}

/// Replaces the value at a place, counted from the outside in.
fn replace(value: &mut Value, left: &mut usize, with: &Value) {
    if *left == 0 {
        *value = with.clone();
    }
    *left = left.wrapping_sub(1);
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| replace(element, left, with)),
        Value::Object(object) => object.iter_mut().for_each(|(_, member)| replace(member, left, with)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_changed_request_panics(
        seed in prop::sample::select(SEEDS.to_vec()), api in prop::sample::select(Api::ALL.to_vec()),
        changes in prop::collection::vec((1_usize..60, replacement()), 0..6), open: bool, own: bool, limit in 0_u64..10_000,
    ) {
        let mut value = Value::from(object(seed.1));
        for (at, with) in &changes {
            replace(&mut value, &mut at.clone(), with);
        }
        let mut request = value.into_object().unwrap();
        let api = if own { seed.0 } else { api };
        let hosted = vec!["web_search".into()];
        let switches = Switches { pass_unknown: open, stored: open, remote: open, hosted };
        if let Ok(asked) = read(api, &request, &switches) {
            prop_assert_eq!(asked.unknown.is_empty() || open, true);
            let view = rules_view(&asked);
            let narrowed = view.clone().with("max_output_tokens", limit);
            let before = request.clone();
            let applied = apply_narrowed(&mut request, api, &view, &narrowed, ChatLimit::MaxTokens);
            if applied.is_ok() {
                let again = read(api, &request, &switches).map(|asked| asked.output);
                prop_assert!(again == Ok(Some(limit)) || asked.output == Some(limit), "{:?}", again);
            } else {
                prop_assert_eq!(&request, &before);
            }
        }
        let _ = set_output(&mut request, api, limit, ChatLimit::MaxTokens);
        ask_usage(&mut request, api);
        set_store_false(&mut request, api, open);
        canonical_for_cache(api, &request);
    }
}
