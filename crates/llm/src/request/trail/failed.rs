//! Whether a tool failed, where the API cannot say so.

use ringfence_json::{Limits, Value, parse};

/// How texts begin that frameworks send for a tool that failed.
const BEGINNINGS: [&str; 4] = ["Error", "error:", "ERROR", "An error occurred"];
/// Texts longer than this are not parsed, in bytes.
const PARSED_BYTES_MAX: usize = 64 << 10;

/// Tells it by the text, and says no where in doubt.
pub(super) fn is_failure(content: Option<&Value>) -> bool {
    match content {
        Some(Value::String(text)) => is_failure_text(text),
        Some(Value::Array(parts)) => parts
            .first()
            .and_then(|part| part.get("text"))
            .and_then(Value::as_str)
            .is_some_and(is_failure_text),
        _ => false,
    }
}

fn is_failure_text(text: &str) -> bool {
    let text = text.trim_start();
    if !text.starts_with('{') || text.len() > PARSED_BYTES_MAX {
        return BEGINNINGS.iter().any(|beginning| begins(text, beginning));
    }
    let Ok(object) = parse(text.as_bytes(), &Limits::default()) else { return false };
    let says = |name: &str| object.get(name).and_then(Value::as_bool) == Some(true);
    let error = object.get("error").and_then(Value::as_str).is_some_and(|error| !error.is_empty());
    error || says("isError") || says("is_error") || says("error")
}

/// Whether a text begins with these words, and not with a longer one.
fn begins(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| {
        words.ends_with(':') || !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_clearly_says_so_is_a_failure() {
        for (text, failed) in [
            ("Error: no such file", true),
            ("Error executing tool x", true),
            (" error: bad", true),
            ("An error occurred while running the tool. Please try again.", true),
            (r#"{"isError": true, "content": []}"#, true),
            (r#"{"error": "not found"}"#, true),
            (r#"{"error": true}"#, true),
            (r#"{"error": false, "rows": []}"#, false),
            (r#"{"error": null}"#, false),
            (r#"{"error": ""}"#, false),
            (r#"{"errors": 0}"#, false),
            ("Errors found: 0", false),
            ("ErrorLog is empty", false),
            ("error_count 0", false),
            ("There was no error", false),
            ("", false),
            ("{", false),
        ] {
            assert_eq!(is_failure(Some(&text.into())), failed, "{text}");
        }
        assert!(!is_failure(None));
    }
}
