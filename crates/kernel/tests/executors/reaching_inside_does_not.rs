//! What a clearance owns stays in it.
use ringfence_kernel::Clearance;

fn opened(mut clearance: Clearance) {
    let _ = clearance.0;
}

fn main() {
    let _ = opened;
}
