//! Conversations as guards against loops see them.

use ringfence_types::Digest;

use super::super::{STEPS_MAX, Trail};
use super::object;
use crate::Api;

fn trail(api: Api, text: &str) -> Trail {
    Trail::of(api, &object(text))
}

fn chat(messages: &str) -> Trail {
    trail(Api::Chat, &format!(r#"{{"messages":[{messages}]}}"#))
}

const SYSTEM: &str = r#"{"role":"system","content":"Be short."}"#;
const USER: &str = r#"{"role":"user","content":"Do it."}"#;

fn step(id: &str, arguments: &str, result: &str) -> String {
    let function = format!(r#"{{"name":"f","arguments":{arguments}}}"#);
    format!(
        r#"{{"role":"assistant","tool_calls":[{{"id":"{id}","type":"function","function":{function}}}]}},
        {{"role":"tool","tool_call_id":"{id}","content":"{result}"}}"#
    )
}

#[test]
fn steps_are_equal_where_call_and_result_are() {
    let one = step("c1", r#""{\"a\":1,\"b\":2}""#, "Error: no");
    let same = step("c2", r#""{\"b\": 2, \"a\": 1}""#, "Error: no");
    let other = step("c3", r#""{\"a\":1,\"b\":3}""#, "fine");
    let trail = chat(&format!("{SYSTEM},{USER},{one},{same},{other}"));
    assert_eq!((trail.results, trail.users, trail.messages, trail.steps.len()), (3, 1, 8, 3));
    assert_eq!(trail.steps[0], trail.steps[1]);
    assert!(trail.steps[0].failed && !trail.steps[2].failed);
    assert_ne!(trail.steps[0].call, trail.steps[2].call);
    assert_ne!(trail.steps[0].result, trail.steps[2].result);
}

#[test]
fn three_apis_tell_the_same_story() {
    let chat = chat(&format!("{SYSTEM},{USER},{}", step("c1", r#""{\"a\":1}""#, "done")));
    let responses = trail(
        Api::Responses,
        r#"{"instructions":"Be short.","input":[{"role":"user","content":[{"type":"input_text",
        "text":"Do it."}]},
        {"type":"function_call","id":"fc","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
        {"type":"function_call_output","call_id":"c1","output":"done"}]}"#,
    );
    let messages = trail(
        Api::Messages,
        r#"{"system":[{"type":"text","text":"Be short.","cache_control":{"type":"ephemeral"}}],
        "messages":[{"role":"user","content":"Do it."},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"a":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text",
        "text":"done"}]},{"type":"text","text":"<reminder>"}]}]}"#,
    );
    for other in [&responses, &messages] {
        assert_eq!((&other.root, &other.last_user, &other.steps), (&chat.root, &chat.last_user, &chat.steps));
        assert_eq!((other.users, other.results), (1, 1));
    }
    assert_eq!((responses.messages, messages.messages), (3, 3));
}

#[test]
fn the_beginning_stays_while_the_conversation_goes_on() {
    let early = chat(&format!("{SYSTEM},{USER}"));
    let later = r#"{"role":"user","content":"And then?"},{"role":"system","content":"Mind the time."}"#;
    let late = chat(&format!("{SYSTEM},{USER},{},{later}", step("c", "\"{}\"", "x")));
    assert_eq!(early.root, late.root);
    assert_ne!(early.last_user, late.last_user);
    assert_eq!(late.users, 2);
    assert_ne!(chat(USER).root, early.root);
    assert_ne!(chat(&format!("{SYSTEM},{}", USER.replace("it", "that"))).root, early.root);
}

#[test]
fn anthropic_says_itself_what_failed() {
    let of = |error: &str, text: &str| {
        let result = format!(r#"{{"type":"tool_result","tool_use_id":"t","content":"{text}"{error}}}"#);
        let text = format!(
            r#"{{"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f",
        "input":{{}}}}]}},
            {{"role":"user","content":[{result}]}}]}}"#
        );
        trail(Api::Messages, &text).steps[0].failed
    };
    assert!(of(r#","is_error":true"#, "fine"));
    assert!(!of("", "Error: no"));
    assert!(!of(r#","is_error":false"#, "Error: no"));
}

#[test]
fn the_last_forty_steps_are_kept() {
    let steps: Vec<_> = (0..60).map(|number| step("same", &format!("\"{number}\""), "x")).collect();
    let trail = chat(&steps.join(","));
    assert_eq!((trail.results, trail.steps.len()), (60, STEPS_MAX));
    let last = chat(&step("other", "\"59\"", "x"));
    assert_eq!(trail.steps.last(), last.steps.last());
    assert!(
        !trail.steps.contains(&chat(&step("other", "\"19\"", "x")).steps[0]),
        "the first twenty are gone"
    );
}

#[test]
fn a_result_without_its_call_counts_and_is_no_step() {
    let trail = chat(r#"{"role":"tool","tool_call_id":"c","content":"x"},{"role":"tool","content":"y"}"#);
    assert_eq!((trail.results, trail.steps.len(), trail.users), (2, 0, 0));
    assert_eq!(trail.last_user, Digest::of(b""));
}

#[test]
fn old_functions_and_tools_of_the_provider_make_steps_too() {
    let old = chat(
        r#"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f",
        "content":"x"}"#,
    );
    assert_eq!(old.steps, chat(&step("c", "\"{}\"", "x")).steps);
    for kind in ["local_shell", "shell", "apply_patch", "computer"] {
        let text = format!(
            r#"{{"input":[{{"type":"{kind}_call","id":"a","call_id":"c","action":{{"x":1}}}},
        {{"type":"{kind}_call_output","id":"c","output":"x"}},
            {{"type":"custom_tool_call","call_id":"d","name":"g","input":"free"}},
        {{"type":"custom_tool_call_output","call_id":"d","output":"x"}}]}}"#
        );
        let trail = trail(Api::Responses, &text);
        assert_eq!((trail.steps.len(), trail.results, trail.messages), (2, 2, 4), "{kind}");
        assert_ne!(trail.steps[0].call, trail.steps[1].call);
    }
}
