//! Sentences about violations: which argument, and what was expected. Never what was sent.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use ringfence_json::member_pointer;
use serde_json::Value as Foreign;

use super::instance::Trouble;
use super::{InputSchema, Violation};
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_WORDS_MAX};
use crate::text::{bounded, shown};

/// What the validator said, in a sentence.
pub(super) fn violation(schema: &InputSchema, error: &ValidationError<'_>) -> Violation {
    let pointer = error.instance_path().as_str();
    let what = what(schema, pointer, error.kind());
    let sentence = match what {
        Sentence::Of(predicate) => format!("{} {predicate}", subject(pointer)),
        Sentence::Whole(sentence) => sentence,
    };
    Violation { pointer: bounded(pointer, MESSAGE_BYTES_MAX), message: bounded(&sentence, MESSAGE_BYTES_MAX) }
}

/// Why no answer was possible, in a sentence.
pub(super) fn trouble(trouble: Trouble) -> Violation {
    let message = match trouble {
        Trouble::Digits => {
            "a number has more digits, or is larger or smaller, than can be compared exactly with what the schema \
             allows: send fewer digits"
        }
        Trouble::Effort => {
            "the value is too large or too deeply nested to be checked against its schema: send less"
        }
        Trouble::Text => {
            "a text is too long to be matched against the pattern that the schema gives for it: send a shorter one"
        }
    };
    Violation { pointer: String::new(), message: message.to_owned() }
}

/// The validator said no and then could not say why, which happens when a match was not finished.
pub(super) fn undecided() -> Violation {
    let message = "the value could not be checked against its schema within bounds";
    Violation { pointer: String::new(), message: message.to_owned() }
}

enum Sentence {
    /// To be said of the value at the pointer.
    Of(String),
    /// Complete.
    Whole(String),
}

fn what(schema: &InputSchema, pointer: &str, kind: &ValidationErrorKind) -> Sentence {
    use ValidationErrorKind as Kind;
    let text = match kind {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            return Sentence::Whole(format!("{} is missing", subject(&member_pointer(pointer, name))));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            return Sentence::Whole(unknown(schema, pointer, unexpected));
        }
        Kind::Type { kind } => format!("must be {}", types(kind)),
        Kind::Enum { options } => format!("must be one of {}", options_of(options)),
        Kind::Constant { expected_value } => format!("must be {}", shown(&expected_value.to_string(), 80)),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MaxLength { limit } => format!("must have at most {}", counted(*limit, "characters")),
        Kind::MinLength { limit } => format!("must have at least {}", counted(*limit, "characters")),
        Kind::MaxItems { limit } => format!("must have at most {}", counted(*limit, "elements")),
        Kind::MinItems { limit } => format!("must have at least {}", counted(*limit, "elements")),
        Kind::MaxProperties { limit } => format!("must have at most {}", counted(*limit, "members")),
        Kind::MinProperties { limit } => format!("must have at least {}", counted(*limit, "members")),
        Kind::AdditionalItems { limit } => {
            format!("must have at most {}", counted(*limit as u64, "elements"))
        }
        Kind::UnevaluatedItems { .. } => "has elements that the schema does not provide for".to_owned(),
        Kind::UniqueItems => "must not have equal elements".to_owned(),
        Kind::Contains => "lacks an element that the schema asks for".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern {}", shown(pattern, 160)),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "takes too long to match against the pattern that the schema gives for it".to_owned()
        }
        Kind::PropertyNames { .. } => "has a member whose name the schema does not allow".to_owned(),
        Kind::FalseSchema => "is not allowed here".to_owned(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            "fits none of the forms that the schema allows".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => {
            "fits several forms of which the schema allows exactly one".to_owned()
        }
        Kind::Not { .. } => "is of a form that the schema excludes".to_owned(),
        _ => "does not fit the schema".to_owned(),
    };
    Sentence::Of(text)
}

/// A number of things; `things` in the plural.
fn counted(count: u64, things: &str) -> String {
    format!("{count} {}", if count == 1 { things.trim_end_matches('s') } else { things })
}

/// The value at a pointer, as people call it.
fn subject(pointer: &str) -> String {
    if pointer.is_empty() {
        return "the value".to_owned();
    }
    let mut name = String::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if token.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() {
            name.extend(["[", &token, "]"]);
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&token);
        }
    }
    shown(&name, 120)
}

fn types(kind: &TypeKind) -> String {
    let word = |of: JsonType| match of {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    };
    match kind {
        TypeKind::Single(single) => word(*single).to_owned(),
        TypeKind::Multiple(several) => several.iter().map(word).collect::<Vec<_>>().join(" or "),
    }
}

/// The options come from the schema, that is, from a stranger: shown escaped and bounded.
fn options_of(options: &Foreign) -> String {
    let all = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut words: Vec<_> = all
        .iter()
        .take(MESSAGE_WORDS_MAX)
        .map(|option| match option {
            Foreign::String(text) => shown(text, 40),
            other => bounded(&other.to_string(), 40),
        })
        .collect();
    if all.len() > MESSAGE_WORDS_MAX {
        words.push(format!("{} more", all.len() - MESSAGE_WORDS_MAX));
    }
    words.join(", ")
}

fn unknown(schema: &InputSchema, pointer: &str, unexpected: &[String]) -> String {
    let place = if pointer.is_empty() { String::new() } else { format!("{} has ", subject(pointer)) };
    let mut names: Vec<_> = unexpected.iter().take(MESSAGE_WORDS_MAX).map(|name| shown(name, 40)).collect();
    if unexpected.len() > MESSAGE_WORDS_MAX {
        names.push(format!("{} more", unexpected.len() - MESSAGE_WORDS_MAX));
    }
    let known: Vec<_> = if pointer.is_empty() { schema.arguments().collect() } else { Vec::new() };
    let hint = match (unexpected, known.as_slice()) {
        ([only], [_, ..]) => ringfence_document::nearest(only, known.iter().copied())
            .map(|near| format!("; did you mean {}?", shown(near, 40))),
        _ => None,
    };
    let noun = if unexpected.len() == 1 { "a member" } else { "members" };
    format!("{place}{noun} that the schema does not know: {}{}", names.join(", "), hint.unwrap_or_default())
}
