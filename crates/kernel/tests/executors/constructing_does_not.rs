//! Only the kernel makes one.
use ringfence_kernel::Clearance;

fn forged() -> Clearance {
    Clearance { permit: None }
}

fn main() {
    let _ = forged;
}
