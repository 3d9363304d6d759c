//! Tests of the whole.

mod bad;
mod changes;
mod fields;
mod mutated;
mod needs;
mod requests;
mod rules;
mod trails;

use ringfence_json::{Limits, Object, parse};

use super::{Asked, Objection, Switches, read};
use crate::Api;

/// An object from its text.
fn object(text: &str) -> Object {
    parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
}

/// What a request asks for, read with every switch off.
fn plain(api: Api, text: &str) -> Result<Asked, Objection> {
    read(api, &object(text), &Switches::default())
}
