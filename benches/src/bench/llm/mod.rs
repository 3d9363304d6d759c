//! Model calls: through this gateway, through others, and direct.

mod burst;
mod cost;
mod streams;

pub use burst::measure as burst;
pub use cost::measure as cost;
pub use streams::measure as streams;
