//! What the benches of model calls share: a provider that costs little, the ways to it, and clients.

mod client;
mod load;
mod mock;
mod ringfence;
mod server;
mod ways;

pub use client::{Ask, Client};
pub use load::{Clients, Done, Shape};
pub use mock::Mock;
pub use ringfence::Setup;
pub use ways::{Kind, Way};
