//! The twin: the kernel is asked for one.
use ringfence_kernel::{Admission, Clearance, Kernel, Proposal};

async fn asked(kernel: &Kernel, proposal: Proposal) -> Option<Clearance> {
    match kernel.admit(proposal).await {
        Admission::Cleared(clearance) => Some(clearance),
        Admission::Refused(_) | Admission::Pending(_) => None,
    }
}

fn main() {
    let _ = asked;
}
