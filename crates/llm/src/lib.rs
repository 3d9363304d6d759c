//! What model APIs say: requests, answers, streams, usage and errors, and translations between them. Pure: no clock, no
//! I/O.
//!
//! - [`api`]: which APIs there are;
//! - [`request`]: what a request asks for, as far as money, rules and limits look at it; the fields that are known;
//! - [`events`], [`answer`]: whole answers and streams, read while they pass: usage, length, how they end;
//! - [`tokens`]: how many tokens a text comes to;
//! - [`render`]: answers that were made up, in the words of each API;
//! - [`error`]: what a client is told in its provider's own shape;
//! - [`translate`]: from one provider's API to another's and back.

pub mod answer;
pub mod api;
pub mod error;
pub mod events;
pub mod render;
pub mod request;
pub mod tokens;
pub mod translate;

pub use api::{Api, Family};
