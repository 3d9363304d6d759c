//! The operators' side: configuration as applied, REST API, people; and the node that both sides make.
//!
//! - [`config`]: `ringfence.yaml` as users write it, read with places; [`compile`]: with its policies compiled;
//! - [`Node`]: a node that runs, from `up` to its end; reloads when a file changes;
//! - `api`: everything operators can ask for over HTTP, made from one table;
//! - [`audit`]: the log as people ask about it; [`explain`]: what the policy says of a call;
//! - [`shown`]: text of strangers, made fit to be read; [`PersonToken`]: what people authenticate with.

mod api;
pub mod audit;
mod compile;
pub mod config;
pub mod explain;
pub mod limits;
mod node;
mod people;
mod setup;
pub mod shown;

pub use api::Addresses;
pub use compile::{Compiled, compile, vocabulary};
pub use node::{Exposed, Node, NodeOptions, ReloadError, Reloaded, StartError, prepare_folder};
pub use people::{NoRandomness, OWNER, People, Person, PersonToken, Power};
pub use setup::{SetupError, check_scripts, named_tools};
