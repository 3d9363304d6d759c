//! The node's side: starting the spawner, asking it for children, holding them.

mod bootstrap;
mod child;
mod created;
mod spawner;
mod stderr;
mod table;

pub use bootstrap::{SpawnerBootstrap, SpawnerProgram, become_spawner_if_asked, probe, start_spawner};
pub use child::{Child, ChildId, Process};
pub use created::Created;
pub use spawner::Spawner;
pub use stderr::BoundedStderr;
