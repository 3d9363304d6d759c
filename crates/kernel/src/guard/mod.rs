//! What keeps an agent from doing too much: rates, breakers, repetition. Kept in memory only; after a restart these
//! start afresh, which the log's budgets, approvals and suspensions never do.

mod breaker;
mod rate;
mod repetition;

pub(crate) use breaker::{Breaker, Health};
pub(crate) use rate::Meter;
pub(crate) use repetition::{Repetition, Step};
