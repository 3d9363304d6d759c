//! What rules see and lower.

use ringfence_json::{Object, Value};

use super::super::{ChatLimit, NotApplicable, Switches, apply_narrowed, read, rules_view};
use super::{object, plain};
use crate::Api;

const CHAT: &str = r#"{"model":"m","max_tokens":100,"n":3,"messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn rules_see_all_that_matters_under_stable_names() {
    let mut view = rules_view(&plain(Api::Chat, CHAT).unwrap());
    let bytes = view.insert("input_bytes", 0_u64).unwrap().as_u64().unwrap();
    assert!((80..100).contains(&bytes), "{bytes}");
    assert_eq!(
        Value::from(view).to_string(),
        [
            r#"{"api":"chat","model":"m","max_output_tokens":100,"n":3,"stream":false,"input_bytes":0,"#,
            r#""images":0,"documents":0,"messages":1,"tool_results":0,"tools":[],"hosted_tools":[],"#,
            r#""features":[],"stored":false,"hidden_input":false,"unknown_fields":[]}"#,
        ]
        .concat()
    );
    let text = r#"{"model":"m","input":["a","b"],"laser":{"on":true}}"#;
    let pass = Switches { pass_unknown: true, ..Switches::default() };
    let view = rules_view(&read(Api::Embeddings, &object(text), &pass).unwrap());
    assert_eq!(view.get("inputs").and_then(Value::as_u64), Some(2));
    assert_eq!(view.get("unknown_fields"), Some(&vec!["laser"].into()));
}

fn narrowed(text: &str, change: impl FnOnce(&mut Object)) -> (Result<(), NotApplicable>, String) {
    let mut request = object(text);
    let before = rules_view(&plain(Api::Chat, text).unwrap());
    let mut after = before.clone();
    change(&mut after);
    let done = apply_narrowed(&mut request, Api::Chat, &before, &after, ChatLimit::MaxCompletionTokens);
    (done, Value::from(request).to_string())
}

#[test]
fn rules_lower_limits_and_nothing_else() {
    let lower = |name: &'static str, value: u64| {
        narrowed(CHAT, move |view| {
            view.insert(name, value);
        })
    };
    assert_eq!(lower("max_output_tokens", 99), (Ok(()), CHAT.replace("100", "99")));
    assert_eq!(lower("n", 1), (Ok(()), CHAT.replace("\"n\":3", "\"n\":1")));
    assert_eq!(narrowed(CHAT, |_| {}), (Ok(()), CHAT.to_owned()));
    let changed = (Err(NotApplicable::Changed), CHAT.to_owned());
    for (name, value) in
        [("max_output_tokens", 101), ("max_output_tokens", 0), ("n", 4), ("n", 0), ("images", 1), ("new", 1)]
    {
        assert_eq!(lower(name, value), changed, "{name} {value}");
    }
    assert_eq!(narrowed(CHAT, |view| drop(view.remove("max_output_tokens"))), changed);
    assert_eq!(narrowed(CHAT, |view| drop(view.remove("stream"))), changed);
    assert_eq!(narrowed(CHAT, |view| drop(view.insert("model", "other"))), changed);
    let open = CHAT.replace("\"max_tokens\":100,", "");
    let (done, limited) = narrowed(&open, |view| drop(view.insert("max_output_tokens", 50_u64)));
    assert_eq!(done, Ok(()));
    assert!(limited.ends_with(r#","max_completion_tokens":50}"#), "{limited}");
}

#[test]
fn only_chat_gives_several_answers() {
    let mut request = object(r#"{"model":"m"}"#);
    let (before, after) = (Object::new().with("n", 3_u64), Object::new().with("n", 2_u64));
    let done = apply_narrowed(&mut request, Api::Responses, &before, &after, ChatLimit::MaxTokens);
    assert!(matches!(done, Err(NotApplicable::NoPlace(_))));
}
