//! The twin: one or the other.
use ringfence_kernel::{CancelledBy, Clearance, Outcome};

fn execute(_clearance: Clearance) {}

fn either(clearance: Clearance, client_is_gone: bool) {
    if client_is_gone {
        let _ = clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
    } else {
        execute(clearance);
    }
}

fn main() {
    let _ = either;
}
