//! Policies and calls of a small world, so that they meet.

mod arguments;
mod call;
mod policy;
mod words;

pub use self::arguments::{fields, schema};
pub use self::call::call;
pub use self::policy::policy;
