//! What a clearance owns stays in it.
use ringfence_kernel::Clearance;

fn opened(mut clearance: Clearance) {
    let _ = clearance.permit.take();
}

fn main() {
    let _ = opened;
}
