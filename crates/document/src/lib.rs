//! YAML with places: every value knows its line, and all errors are reported at once.
//!
//! For files that people write. Differences from a general YAML library, each on purpose:
//!
//! - one document; anchors, aliases, merge keys, tags and keys that are not plain text are refused, duplicate keys too;
//! - every document is read under the bounds of [`limits`];
//! - a scalar stays the text that was written, and is a number or a truth value only where one is expected;
//! - reading never stops at the first mistake: it writes into a [`Report`] and goes on.
//!
//! [`parse`] gives a tree of [`Node`]s, [`Fields`] reads a mapping by its keys and says which keys are unknown,
//! [`Diagnostic`] is what people and programs are told.

mod diagnostic;
mod fields;
pub mod limits;
mod node;
mod parse;
mod render;
mod report;
mod scalar;
mod suggest;

pub use diagnostic::{Diagnostic, Severity};
pub use fields::Fields;
pub use node::{Content, Key, Node, Place, Scalar};
pub use parse::parse;
pub use render::render;
pub use report::Report;
pub use suggest::nearest;
