//! Tables of prices, as others publish them and as people write them.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use ringfence_fuzz::{mutate, prices, seeds};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time as what it is.
    mutate::with(mutate::json, data, size, max_size, seed)
        .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

fuzz_target!(
    init: seeds("prices", prices::check),
    |data: &[u8]| {
        prices::check(data);
    }
);
