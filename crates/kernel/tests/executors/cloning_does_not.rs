//! One decision is one execution: a clearance has no copies.
use ringfence_kernel::Clearance;

fn twice(clearance: Clearance) -> (Clearance, Clearance) {
    (clearance.clone(), clearance)
}

fn main() {
    let _ = twice;
}
