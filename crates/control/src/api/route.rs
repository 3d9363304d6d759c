//! One entry of the table that routing, authorization and the published description are all made from.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use super::call::{Answer, Call};
use super::problem::Problem;
use crate::Power;

/// What a handler gives.
pub(crate) type Handled = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

/// One thing the operators' side can be asked.
pub(crate) struct Route {
    /// How.
    pub method: Method,
    /// Where; `{name}` is a part of the path.
    pub path: &'static str,
    /// What the caller needs.
    pub power: Power,
    /// Its name in the description.
    pub operation: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What may stand in the query.
    pub query: &'static [Field],
    /// The members of the body, if it has one.
    pub body: Option<&'static [Field]>,
    /// What the answer is.
    pub answer: AnswerKind,
    /// Does it.
    pub handler: fn(Call) -> Handled,
}

/// A parameter or a member of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: FieldKind,
    /// Whether it has to be there.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Text,
    Whole,
    Flag,
    Object,
    Texts,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// One JSON object.
    Document,
    /// One JSON object a line.
    Lines,
    /// Server-sent events.
    Events,
    /// Plain text.
    Text,
    /// The bytes of a file.
    Bytes,
}

// === impl Field ===

impl Field {
    /// One that may be left out.
    pub const fn new(name: &'static str, kind: FieldKind, about: &'static str) -> Self {
        Self { name, kind, required: false, about }
    }

    /// One that has to be there.
    pub const fn required(name: &'static str, kind: FieldKind, about: &'static str) -> Self {
        Self { name, kind, required: true, about }
    }
}
