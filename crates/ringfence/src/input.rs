//! Documents given on the command line.

use std::io::Read;

use ringfence_json::{Limits, Object, parse};

use crate::failure::Failure;

/// The largest document read, in bytes.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// Reads a JSON object from `-` (standard input), from the text itself if it starts as JSON does, or from a file.
///
/// # Errors
/// When it cannot be read, or is no JSON object. `what` names it in messages.
pub fn read_object(given: &str, what: &str) -> Result<Object, Failure> {
    let text =
        if given.trim_start().starts_with(['{', '[']) { given.to_owned() } else { read_text(given, what)? };
    let value = parse(text.as_bytes(), &Limits::default())
        .map_err(|error| Failure::usage(format!("{what} cannot be read as JSON: {error}")))?;
    value.into_object().ok_or_else(|| Failure::usage(format!("{what} must be a JSON object")))
}

/// Reads text from `-` (standard input) or a file.
///
/// # Errors
/// When it cannot be read or is too long.
pub fn read_text(given: &str, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if given == "-" {
        std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(given).and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text))
    };
    let length = read.map_err(|error| {
        Failure::usage(format!("cannot read {what} from `{}`: {error}", crate::safe(given)))
    })?;
    if length as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!("{what} is longer than {INPUT_BYTES_MAX} bytes")));
    }
    Ok(text)
}
