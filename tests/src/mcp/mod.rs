//! A strict client of the Model Context Protocol over streamable HTTP.

mod client;
pub mod http;
mod strict;
mod tool;

pub use client::{Client, Era, Reply, Streamed};
pub use strict::parse;
pub use tool::ToolAnswer;
