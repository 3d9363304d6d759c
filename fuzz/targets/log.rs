//! The log, as somebody hands it to us.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use ringfence_fuzz::{log, mutate, seeds};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time as entries, if it is that.
    mutate::with(mutate::lines, data, size, max_size, seed)
        .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

fuzz_target!(
    init: seeds("log", log::check),
    |data: &[u8]| {
        log::check(data);
    }
);
