//! Writing events of a stream (WHATWG HTML, "Server-sent events").

use ringfence_json::{Object, Value};

/// What ends a stream of OpenAI's.
pub(super) const DONE: &[u8] = b"[DONE]";

/// An event without a name, as OpenAI sends them.
pub(super) fn data(data: Object, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    Value::from(data).write(out);
    out.extend_from_slice(b"\n\n");
}

/// The last event of a stream of OpenAI's.
pub(super) fn done(out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(DONE);
    out.extend_from_slice(b"\n\n");
}

/// An event named as its `type`, as Anthropic sends them.
pub(super) fn event(name: &str, members: Object, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    let typed = members
        .into_iter()
        .fold(Object::new().with("type", name), |all, (name, value)| all.with(name, value));
    data(typed, out);
}
