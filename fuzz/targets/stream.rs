//! Streams of models' answers, as providers send them.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use ringfence_fuzz::{head, mutate, seeds, stream};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time as what it is.
    mutate::with(|data, seed| head::changed(data, seed, mutate::stream), data, size, max_size, seed)
        .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

fuzz_target!(
    init: seeds("stream", stream::check),
    |data: &[u8]| {
        stream::check(data);
    }
);
