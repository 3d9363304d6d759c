//! Conversations nobody has had, as chat requests and as answers.

use proptest::prelude::*;
use ringfence_json::{Number, Object, Value};

/// Any JSON value, a few levels deep, with numbers a float could not keep.
pub(super) fn any_value() -> impl Strategy<Value = Value> {
    let number = prop::sample::select(vec!["0", "-0", "1.50", "1e2", "12345678901234567890123", "-0.10"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(|literal| Value::from(Number::new(literal).unwrap())),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            any_members(inner).prop_map(Value::from),
        ]
    })
}

fn any_members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Object> {
    let name = prop_oneof!["[a-z]{0,4}", any_text()];
    let pair = (name, value).prop_map(|(name, value)| (name.into(), value));
    prop::collection::vec(pair, 0..4).prop_map(Object::from_iter)
}

/// Any object.
pub(super) fn any_object() -> impl Strategy<Value = Object> {
    any_members(any_value())
}

/// Any text, now and then of white space only.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![6 => "\\PC{1,8}", 1 => "[ \n]{0,2}", 1 => Just("\"\\\u{0}\u{1F600}".to_owned())]
}

/// A call: an id's beginning, a name, arguments; whether Chat wrote spaces in them.
pub(super) type Call = (String, String, Object, bool);

pub(super) fn any_call() -> impl Strategy<Value = Call> {
    let id = prop_oneof!["call_", "call:", "functions.a b:", "very_long_very_long_very_long_very_long_"];
    (id, "[a-zA-Z0-9_-]{1,12}", any_object(), any::<bool>())
}

/// One step of a conversation.
#[derive(Debug, Clone)]
enum Step {
    System(String),
    User(Vec<String>),
    Image,
    Assistant(Option<String>),
    /// Calls, each with the texts of its result; then whether the results come in the other order.
    Calls(Option<String>, Vec<(Call, Vec<String>)>, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let texts = || prop::collection::vec(any_text(), 0..3);
    prop_oneof![
        1 => any_text().prop_map(Step::System),
        3 => texts().prop_map(Step::User),
        1 => Just(Step::Image),
        2 => prop::option::of(any_text()).prop_map(Step::Assistant),
        3 => (prop::option::of(any_text()), prop::collection::vec((any_call(), texts()), 1..4), any::<bool>())
            .prop_map(|(text, calls, turned)| Step::Calls(text, calls, turned)),
    ]
}

fn message(role: &str, content: impl Into<Value>) -> Object {
    Object::new().with("role", role).with("content", content)
}

fn parts(texts: &[String]) -> Value {
    match texts {
        [only] => only.as_str().into(),
        _ => texts
            .iter()
            .map(|text| Object::new().with("type", "text").with("text", text.as_str()))
            .collect::<Vec<_>>()
            .into(),
    }
}

/// The text of an object, with or without spaces.
fn written(object: &Object, spaced: bool) -> String {
    let text = Value::from(object.clone()).to_string();
    if spaced { format!(" {text}\n") } else { text }
}

fn chat_call((id, name, arguments, spaced): &Call, number: usize) -> Object {
    let function = Object::new().with("name", name.as_str()).with("arguments", written(arguments, *spaced));
    Object::new().with("id", format!("{id}{number}")).with("type", "function").with("function", function)
}

fn add(step: &Step, number: usize, messages: &mut Vec<Value>) {
    match step {
        Step::System(text) => messages.push(message("system", text.as_str()).into()),
        Step::User(texts) => messages.push(message("user", parts(texts)).into()),
        Step::Image => {
            let image = Object::new().with("url", "data:image/png;base64,iVBORw0=");
            let part = Object::new().with("type", "image_url").with("image_url", image);
            messages.push(message("user", vec![part]).into());
        }
        Step::Assistant(text) => {
            messages.push(message("assistant", text.clone().map_or(Value::Null, Value::from)).into());
        }
        Step::Calls(text, calls, turned) => {
            let content = text.clone().map_or(Value::Null, Value::from);
            let id = |place: usize| number * 10 + place;
            let said: Vec<Object> =
                calls.iter().enumerate().map(|(place, (call, _))| chat_call(call, id(place))).collect();
            messages.push(message("assistant", content).with("tool_calls", said).into());
            let mut results: Vec<Value> = calls
                .iter()
                .enumerate()
                .map(|(place, ((begin, ..), texts))| {
                    message("tool", parts(texts)).with("tool_call_id", format!("{begin}{}", id(place))).into()
                })
                .collect();
            if *turned {
                results.reverse();
            }
            messages.append(&mut results);
        }
    }
}

/// A chat request with a conversation that holds together and begins and ends with the user.
pub(super) fn any_chat_request() -> impl Strategy<Value = Object> {
    prop::collection::vec(any_step(), 0..7).prop_map(|steps| {
        let mut messages = vec![message("user", "first").into()];
        for (number, step) in steps.iter().enumerate() {
            add(step, number, &mut messages);
        }
        messages.push(message("user", "last").into());
        Object::new().with("model", "m").with("max_tokens", 64_u64).with("messages", messages)
    })
}

/// An answer of Anthropic's.
pub(super) fn any_messages_answer() -> impl Strategy<Value = Object> {
    let block = prop_oneof![
        any_text().prop_map(|text| Object::new().with("type", "text").with("text", text)),
        any_text().prop_map(|text| {
            Object::new().with("type", "thinking").with("thinking", text).with("signature", "s")
        }),
        Just(Object::new().with("type", "redacted_thinking").with("data", "x")),
        any_call().prop_map(|(_, name, input, _)| {
            Object::new().with("type", "tool_use").with("name", name).with("input", input)
        }),
    ];
    let stop = prop::sample::select(vec!["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence"]);
    (prop::collection::vec(block, 0..6), stop, any::<[u32; 4]>()).prop_map(|(blocks, stop, counts)| {
        let named = |(number, block): (usize, Object)| match block.text("type") {
            Some("tool_use") => block.with("id", format!("toolu_{number}")),
            _ => block,
        };
        let content: Vec<Object> = blocks.into_iter().enumerate().map(named).collect();
        let names =
            ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"];
        let usage =
            names.into_iter().zip(counts).fold(Object::new(), |usage, (name, count)| usage.with(name, count));
        Object::new()
            .with("id", "msg_1")
            .with("type", "message")
            .with("role", "assistant")
            .with("model", "claude")
            .with("content", content)
            .with("stop_reason", stop)
            .with("stop_sequence", Value::Null)
            .with("usage", usage)
    })
}
