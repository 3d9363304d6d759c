//! Answers and streams as the providers document them, and as they should not be.

mod endings;
mod properties;
mod streams;
mod usages;
mod wholes;

use bytes::Bytes;
use ringfence_json::{Limits, Value, parse};
use ringfence_types::Usage;
use smol_str::SmolStr;

use super::*;
use crate::Api;
use crate::events::Reader;
use crate::tokens::Tokenizer;

fn json(text: &str) -> Value {
    parse(text.as_bytes(), &Limits::default()).unwrap()
}

/// Sends a stream through a meter in pieces of so many bytes; the client's bytes and what was counted.
fn metered(api: Api, hide_usage: bool, stream: &str, piece: usize) -> (String, Counted) {
    let mut meter = Meter::new(api, Tokenizer::O200k, hide_usage);
    let mut reader = Reader::new(100_000);
    let mut passed = Vec::new();
    for piece in stream.as_bytes().chunks(piece) {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(event) = reader.next_event().unwrap() {
            match meter.event(&event).unwrap() {
                Pass::AsIs => passed.extend_from_slice(&event.raw),
                Pass::Instead(bytes) => passed.extend_from_slice(&bytes),
                Pass::Hidden => {}
            }
        }
    }
    assert_eq!(reader.finish(), None);
    (String::from_utf8(passed).unwrap(), meter.counted())
}

fn uses(list: &[(&str, u64)]) -> Vec<(SmolStr, u64)> {
    list.iter().map(|(tool, times)| ((*tool).into(), *times)).collect()
}

/// input, cached, short write, long write, output, reasoning
fn usage([input, cached_input, cache_write, cache_write_1h, output, reasoning]: [u64; 6]) -> Usage {
    Usage { input, cached_input, cache_write, cache_write_1h, output, reasoning }
}
