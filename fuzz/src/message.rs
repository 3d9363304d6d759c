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
    what_is_known_goes_on(data, &written, &limits);
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

/// What JSON-RPC knows of a message goes on as it came, and nothing else does: somebody further on may read `Method` as
/// `method`. The `id` of an answer to nothing may be `null` or missing, which is the same.
fn what_is_known_goes_on(data: &[u8], written: &[u8], limits: &JsonLimits) {
    let object = |bytes: &[u8]| {
        let value = ringfence_json::parse(bytes, limits).expect("it was read before");
        value.into_object().expect("a message is an object")
    };
    let came = object(data);
    let names: &[&str] = if came.contains("method") {
        &["jsonrpc", "id", "method", "params"]
    } else {
        &["jsonrpc", "id", "result", "error"]
    };
    let mut expected = only(&came, names);
    if let Some(Value::Object(error)) = came.get("error") {
        expected.insert("error", only(error, &["code", "message", "data"]));
    }
    if expected.get("id").is_some_and(Value::is_null) {
        expected.remove("id");
    }
    assert_eq!(
        String::from_utf8_lossy(&object(written).to_canonical()),
        String::from_utf8_lossy(&expected.to_canonical()),
        "a member was lost, changed or invented"
    );
}

fn only(object: &Object, names: &[&str]) -> Object {
    let known = object.iter().filter(|(name, _)| names.contains(&name.as_str()));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
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
