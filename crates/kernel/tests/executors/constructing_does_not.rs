//! Only the kernel makes one.
use ringfence_kernel::Clearance;

fn forged() -> Clearance {
    Clearance(panic!())
}

fn main() {
    let _ = forged;
}
