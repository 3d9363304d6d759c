//! Strict JSON for what strangers send and for what the log keeps.
//!
//! Differences from a general JSON library, each on purpose:
//!
//! - a [`Number`] is its literal text, so nothing is rounded between an agent and a tool;
//! - duplicate member names, lone surrogates and anything after the value are refused;
//! - every document is read under [`Limits`];
//! - members keep their order when forwarded, and sort when written [canonically](Value::to_canonical)
//!   (RFC 8785, with numbers as written);
//! - `Debug` shows shapes and sizes, never contents.

mod number;
mod object;
mod parse;
mod pointer;
mod value;
mod write;

pub use number::{Number, NumberError};
pub use object::Object;
pub use parse::{Limits, ParseError, ParseErrorKind, parse};
pub use pointer::{member_pointer, push_token};
pub use value::Value;
pub use write::canonical_order;
