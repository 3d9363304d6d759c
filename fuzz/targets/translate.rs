//! What is translated between the APIs of two providers.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use ringfence_fuzz::{head, mutate, seeds, translate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time as what it is.
    mutate::with(
        |data, seed| {
            head::changed(data, seed, |rest, seed| {
                mutate::json(rest, seed).or_else(|| mutate::stream(rest, seed))
            })
        },
        data,
        size,
        max_size,
        seed,
    )
    .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

fuzz_target!(
    init: seeds("translate", translate::check),
    |data: &[u8]| {
        translate::check(data);
    }
);
