//! What an agent asks for is not what it may do.
use ringfence_kernel::{Clearance, Proposal};

fn execute(_clearance: Clearance) {}

fn dispatch(proposal: Proposal) {
    execute(proposal);
}

fn main() {
    let _ = dispatch;
}
