//! A call that waits for a person is not executed meanwhile.
use ringfence_kernel::{Admission, Clearance};

fn execute(_clearance: Clearance) {}

fn dispatch(admission: Admission) {
    match admission {
        Admission::Pending(pending) => execute(*pending),
        Admission::Cleared(_) | Admission::Refused(_) => {}
    }
}

fn main() {
    let _ = dispatch;
}
