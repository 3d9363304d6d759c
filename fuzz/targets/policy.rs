//! `safety-policy.yaml`, and a call that is decided by it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::{policy, seeds};

fuzz_target!(
    init: seeds("policy", policy::check),
    |data: &[u8]| {
        policy::check(data);
    }
);
