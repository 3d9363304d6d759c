//! What the end-to-end tests are made of: a real node, real servers, real clients, and patience with a limit.
//!
//! - [`node`]: a Ringfence node in a folder of its own, its command line, and its sudden death
//! - [`disk`], [`wall_clock`]: a disk that is small, and a clock that can be set
//! - [`upstream`]: the tool servers of these tests; [`everything`] and the stdio servers come from [`parts`]
//! - [`company`]: an authority and a service that are not on the internet
//! - [`index`], [`environments`]: an index of packages, with packages made for it, and a node that builds environments of them
//! - [`mcp`]: a strict client for both eras, down to raw bytes
//! - [`models`]: a node in front of a stand-in for the providers of models, and its money added up from the log
//! - [`agents`], [`lives`], [`remains`]: programs for sandboxes, the lives of runs as the log has them, and what they leave on the machine
//! - [`script`]: the agent frameworks, each with a model that follows a script
//! - [`suite`], [`differences`] and [`shim`]: the official conformance suite, direct and through the gateway
//!
//! Everything here panics with a sentence when the machine does not play along: that is a failed test.
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "this crate is test code: a panic is how a test fails, everywhere in it"
)]

pub mod agents;
pub mod audit;
pub mod chance;
pub mod cli;
pub mod company;
pub mod config;
pub mod differences;
pub mod disk;
pub mod environments;
pub mod everything;
pub mod index;
pub mod limits;
pub mod lives;
pub mod mcp;
pub mod models;
pub mod node;
pub mod parts;
pub mod patience;
pub mod process;
pub mod remains;
pub mod script;
pub mod shim;
pub mod stdio;
pub mod suite;
pub mod upstream;
pub mod wall_clock;
