//! JSON-RPC messages, as agents and tool servers send them.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use ringfence_fuzz::{message, mutate, seeds};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time as JSON, if it is that.
    mutate::with(mutate::json, data, size, max_size, seed)
        .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

fuzz_target!(
    init: seeds("message", message::check),
    |data: &[u8]| {
        message::check(data);
    }
);
