//! The log, as somebody hands it to us.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::{log, seeds};

fuzz_target!(
    init: seeds("log", log::check),
    |data: &[u8]| {
        log::check(data);
    }
);
