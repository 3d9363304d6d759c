//! References within one schema document.

use std::collections::HashMap;

use ringfence_json::Value;

use super::SchemaError;

/// The named places of a schema (2020-12 core §8.2.2).
#[derive(Default)]
pub(super) struct Anchors<'a>(HashMap<&'a str, &'a Value>);

impl<'a> Anchors<'a> {
    pub(super) fn insert(&mut self, name: &'a str, place: &'a Value) -> Result<(), SchemaError> {
        match self.0.insert(name, place) {
            Some(old) if !std::ptr::eq(old, place) => {
                Err(SchemaError::Reference { target: format!("#{name}, twice") })
            }
            _ => Ok(()),
        }
    }
}

/// The schema that a reference names.
pub(super) fn resolve<'a>(
    root: &'a Value,
    anchors: &Anchors<'a>,
    target: &str,
) -> Result<&'a Value, SchemaError> {
    let unknown = || SchemaError::Reference { target: target.to_owned() };
    let fragment =
        target.strip_prefix('#').ok_or_else(|| SchemaError::Outside { target: target.to_owned() })?;
    if fragment.is_empty() || fragment.starts_with('/') {
        let pointer = percent_decoded(fragment).ok_or_else(unknown)?;
        return root.pointer(&pointer).ok_or_else(unknown);
    }
    anchors.0.get(fragment).copied().ok_or_else(unknown)
}

/// A pointer in a fragment is percent-encoded (RFC 6901 §6).
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit =
                |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(rest.next())? << 4 | digit(rest.next())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
