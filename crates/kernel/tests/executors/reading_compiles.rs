//! The twin: it says what was decided.
use ringfence_kernel::Clearance;

fn read(clearance: &Clearance) {
    let _ = clearance.call();
}

fn main() {
    let _ = read;
}
