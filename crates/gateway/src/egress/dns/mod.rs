//! Names inside a sandbox.
//!
//! Every name that the agent's grants could match has an address inside ([`super::names`]); to ask for one asks nobody
//! outside, so nothing leaks through names. Other names do not exist, at once and for every resolver of a C library, and
//! the refusal is in the log; whoever understands extended errors (RFC 8914) is told why. What looks as if names were
//! used to carry something, or to keep us busy, is refused.

pub(crate) mod answer;
pub(crate) mod message;
pub(crate) mod serve;
