//! The answer to a proposal.

use ringfence_types::Refusal;

use crate::{Clearance, Pending};

/// What becomes of a proposal.
#[derive(Debug)]
#[must_use = "an admission holds what was decided"]
pub enum Admission<C = Clearance> {
    /// It may not; told why.
    Refused(Refusal),
    /// A person has to agree first.
    Pending(Box<Pending<C>>),
    /// It may, as the clearance says; its intent is durable.
    Cleared(C),
}
