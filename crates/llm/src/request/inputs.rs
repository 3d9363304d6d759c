//! How many texts are to be embedded.

use ringfence_json::{Object, Value};

use super::objection::{At, Objection};
use super::walk::expected;

const INPUT: &str = "a text, tokens, or a list of either";

/// A text or a list of tokens is one; a list of either is as many as it has.
pub(super) fn count(request: &Object) -> Result<u64, Objection> {
    let whole = At::WHOLE;
    let at = whole.member("input");
    match request.get("input") {
        Some(Value::String(_)) => Ok(1),
        Some(Value::Array(inputs)) if inputs.is_empty() => {
            Err(Objection::invalid(&at, "there is nothing in it"))
        }
        Some(Value::Array(tokens)) if tokens.iter().all(is_token) => Ok(1),
        Some(Value::Array(inputs)) => match inputs.iter().position(|input| !is_input(input)) {
            Some(index) => Err(expected("a text or a list of tokens", &inputs[index], &at.element(index))),
            None => Ok(u64::try_from(inputs.len()).unwrap_or(u64::MAX)),
        },
        Some(value) => Err(expected(INPUT, value, &at)),
        None => Err(Objection::invalid(&at, "say what is to be embedded")),
    }
}

fn is_input(value: &Value) -> bool {
    value.as_str().is_some() || value.as_array().is_some_and(|tokens| tokens.iter().all(is_token))
}

fn is_token(value: &Value) -> bool {
    value.as_u64().is_some()
}
