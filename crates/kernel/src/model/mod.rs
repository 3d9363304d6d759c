//! Model calls: what is asked of a model, what it may come to, what it came to.

mod charge;
mod clearance;
mod demand;
mod loops;
mod meter;
mod reserve;
mod terms;

pub use clearance::ModelClearance;
pub use demand::{
    ANSWERS, Demand, MAX_OUTPUT, ModelCall, ModelProposal, NOT_APPLICABLE, Trail, TrailStep, is_applicable,
};
pub use loops::LoopLimits;
pub use meter::Meter;
pub(crate) use meter::Metered;

pub(crate) use charge::Charge;
pub(crate) use loops::{Ended, Loops};
pub(crate) use reserve::{Fit, budgets_of, fit};
pub(crate) use terms::{Reservation, Terms};
