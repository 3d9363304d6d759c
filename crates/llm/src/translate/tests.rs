//! Translations as the documents of both APIs show them, and as nobody would write them.

mod answers;
mod chat_streams;
mod conversations;
mod errors;
mod essence;
mod generated;
mod messages_streams;
mod random_events;
mod refused;
mod requests_to_chat;
mod requests_to_messages;

use ringfence_json::{Limits, Object, Value, parse};

/// An object from its text.
fn object(text: &str) -> Object {
    match parse(text.as_bytes(), &Limits::default()) {
        Ok(Value::Object(object)) => object,
        Ok(_) => panic!("no object: {text}"),
        Err(error) => panic!("{error}: {text}"),
    }
}

/// Canonical JSON, to compare what may stand in any order.
fn canonical(object: &Object) -> String {
    String::from_utf8(object.to_canonical()).unwrap()
}

/// The events of a stream: names (empty where there is none) and data.
fn events(bytes: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "an event is cut off: {text}");
    let event = |event: &str| {
        let mut read = (String::new(), String::new());
        for line in event.lines() {
            match line.split_once(": ").unwrap() {
                ("event", name) => name.clone_into(&mut read.0),
                ("data", data) => data.clone_into(&mut read.1),
                (other, _) => panic!("{other}"),
            }
        }
        read
    };
    text.split_terminator("\n\n").map(event).collect()
}
