//! The twin of both: what was cleared is executed.
use ringfence_kernel::{Admission, Clearance};

fn execute(_clearance: Clearance) {}

fn dispatch(admission: Admission) {
    match admission {
        Admission::Cleared(clearance) => execute(clearance),
        Admission::Pending(_) | Admission::Refused(_) => {}
    }
}

fn main() {
    let _ = dispatch;
}
