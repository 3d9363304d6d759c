//! What holds of every message that is taken.

use ringfence_gateway::Limits;
use ringfence_gateway::mcp::message::{Message, Request, parse};
use ringfence_json::{Limits as JsonLimits, Object, Value};
use serde::de::IgnoredAny;

/// Reads the bytes as a message; returns whether they are one.
pub fn check(data: &[u8]) -> bool {
    let limits = Limits::default().request_json();
    let Ok(message) = parse(data, &limits) else { return false };
    is_json_for_others_too(data);
    let written = message.to_bytes();
    reads_back_the_same(&message, &written, &limits);
    nothing_is_lost(data, &written, &limits);
    if let Message::Request(request) = &message {
        one_parameter_can_be_replaced(request, &limits);
    }
    true
}

/// A parser that takes what another refuses is how two sides come to see two messages.
fn is_json_for_others_too(data: &[u8]) {
    let others: Result<IgnoredAny, _> = serde_json::from_slice(data);
    assert!(others.is_ok(), "taken here, and no JSON for serde_json: {others:?}");
}

/// What is forwarded is what was decided about.
fn reads_back_the_same(message: &Message, written: &[u8], limits: &JsonLimits) {
    let again = parse(written, limits).expect("what was written can be read");
    assert!(again == *message, "what is written is another message");
    assert_eq!(again.to_bytes(), written, "written twice, it differs");
}

/// The message as JSON is the same before and after, but for the order of its members. The `id` of an answer to
/// nothing may be `null` or missing, which is the same.
fn nothing_is_lost(data: &[u8], written: &[u8], limits: &JsonLimits) {
    let canonical = |bytes: &[u8]| {
        let value = ringfence_json::parse(bytes, limits).expect("it was read before");
        let mut object = value.into_object().expect("a message is an object");
        if object.get("id").is_some_and(Value::is_null) {
            object.remove("id");
        }
        object.to_canonical()
    };
    assert_eq!(canonical(data), canonical(written), "a member was lost, changed or invented");
}

/// As the kernel does after narrowing: the arguments are the new ones, and nothing else is touched.
fn one_parameter_can_be_replaced(request: &Request, limits: &JsonLimits) {
    let narrowed = Object::new().with("replicas", 10_u64);
    let written = request.to_bytes_with("arguments", &narrowed);
    let Ok(Message::Request(again)) = parse(&written, limits) else { panic!("no request any more") };
    assert!(again.param("arguments").and_then(Value::as_object) == Some(&narrowed), "not replaced");
    let others = |request: &Request| {
        let mut params = request.params.clone().unwrap_or_default();
        params.remove("arguments");
        params.to_canonical()
    };
    assert_eq!(others(&again), others(request), "another parameter changed");
    assert!(again.id == request.id && again.method == request.method);
}
