//! Writing messages: members in a fixed order, nothing copied that need not be.

use ringfence_json::{Object, Value};

use super::message::Id;

/// Writes `params` with one member replaced; without copying the others.
pub(super) fn write_params(params: &Object, name: &str, value: &Object, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    let mut replaced = name.is_empty();
    for (member, own) in params.iter() {
        separate(&mut first, out);
        write_name(member, out);
        if !replaced && member == name {
            replaced = true;
            write_object(value, out);
        } else {
            own.write(out);
        }
    }
    if !replaced && !value.is_empty() {
        separate(&mut first, out);
        write_name(name, out);
        write_object(value, out);
    }
    out.push(b'}');
}

fn separate(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    Value::String(name.into()).write(out);
    out.push(b':');
}

/// Writes an object as compact JSON, members in their order.
pub(crate) fn write_object(object: &Object, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in object.iter() {
        separate(&mut first, out);
        write_name(name, out);
        value.write(out);
    }
    out.push(b'}');
}

/// A result that is written already, as an answer.
pub(crate) fn result_bytes(id: &Id, result: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(result.len() + 64);
    out.member("id", &id.to_value());
    out.name("result");
    out.bytes.extend_from_slice(result);
    out.finish()
}

/// Writes the members of a message after `jsonrpc`.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new() -> Self {
        Self::with_capacity(512)
    }

    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(bytes);
        bytes.extend_from_slice(br#"{"jsonrpc":"2.0""#);
        Self { bytes }
    }

    /// Writes the name of a member; its value has to follow.
    pub(super) fn name(&mut self, name: &str) {
        self.bytes.push(b',');
        write_name(name, &mut self.bytes);
    }

    pub(super) fn member(&mut self, name: &str, value: &Value) {
        self.name(name);
        value.write(&mut self.bytes);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }
}
