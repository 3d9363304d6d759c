//! JSON-RPC messages, as agents and tool servers send them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::{message, seeds};

fuzz_target!(
    init: seeds("message", message::check),
    |data: &[u8]| {
        message::check(data);
    }
);
