//! The log, as somebody hands it to us.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use ringfence_fuzz::{log, mutate, seeds};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time as entries, if it is that.
    let changed = seed.is_multiple_of(2).then(|| mutate::lines(&data[..size], seed)).flatten();
    match changed.filter(|changed| changed.len() <= max_size) {
        Some(changed) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});

fuzz_target!(
    init: seeds("log", log::check),
    |data: &[u8]| {
        log::check(data);
    }
);
