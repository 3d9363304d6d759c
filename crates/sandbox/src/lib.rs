//! Starts processes: the only crate that makes namespaces, and the only unsafe.
//!
//! A node starts one **spawner**, a small process with one thread and nothing of the node in it, and asks it for
//! children. Each child is a program behind as many [`Layers`] as the machine gives: a stdio tool server on the
//! machine's files with some hidden, or, with a [`Root`] and a [`Network`] of its own, an agent in a box that it
//! cannot leave:
//!
//! ```text
//! node ──socket──▶ spawner ──▶ first process of a sandbox ──▶ the program ──▶ whatever it starts
//!                    │            (PID 1 of its namespace)
//!                    └─ dies with the node; every sandbox dies with it
//! ```
//!
//! A layer that the machine refuses is reported with every child, never left out in silence.
//!
//! - [`become_spawner_if_asked`], [`start_spawner`], [`probe`]: `main`'s part;
//! - [`Spawner`], [`Command`], [`Created`], [`Child`]: the node's part;
//! - [`Root`], [`Network`], [`Limits`]: what a child sees, reaches and may use;
//! - [`Layers`]: what is in force, and how to get the rest;
//! - `server`: the spawner; `inside`: what happens in a sandbox before its program runs;
//! - `system`: the system calls without a safe wrapper, and all `unsafe` of the workspace.

mod cgroup;
mod command;
mod driver;
mod error;
mod harden;
mod inside;
mod layer;
pub mod limits;
mod network;
mod node;
mod oci;
mod refusal;
mod restricted;
mod root;
mod server;
mod stats;
mod status;
mod system;
mod trial;
mod trust;
mod volume;
mod wire;

pub use command::{Command, Limits};
pub use driver::{Container, Driver, DriverName, Local, Posture, Promised, Restricted};
pub use error::SpawnError;
pub use harden::harden_process;
pub use layer::{Layer, LayerName, LayerState, Layers};
pub use network::{Network, Sockets};
pub use node::{
    BoundedStderr, Child, ChildId, Created, Process, Spawner, SpawnerBootstrap, SpawnerProgram,
    become_spawner_if_asked, probe, start_spawner,
};
pub use root::Root;
pub use server::empty::empty_home as remove_folder;
pub use stats::Stats;
pub use status::ExitStatus;
pub use trial::try_program;
pub use trust::Trust;
