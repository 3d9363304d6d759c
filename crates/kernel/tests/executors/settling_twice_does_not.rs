//! An outcome is told once.
use ringfence_kernel::{CancelledBy, Clearance, Outcome};

fn settled(clearance: Clearance) {
    let _ = clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
    let _ = clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
}

fn main() {
    let _ = settled;
}
