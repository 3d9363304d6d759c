//! What was settled is not executed again.
use ringfence_kernel::{CancelledBy, Clearance, Outcome};

fn execute(_clearance: Clearance) {}

fn again(clearance: Clearance) {
    let _ = clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
    execute(clearance);
}

fn main() {
    let _ = again;
}
