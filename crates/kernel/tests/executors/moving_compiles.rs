//! The twin: it can be handed on.
use ringfence_kernel::Clearance;

fn once(clearance: Clearance) -> (Clearance,) {
    (clearance,)
}

fn main() {
    let _ = once;
}
