//! The JSON Schema of a tool's arguments or results.
//!
//! JSON Schema 2020-12, as MCP says where `$schema` is absent, or draft 7 where it says so. A schema comes from a
//! stranger: it is surveyed before it is compiled ([`places`]), references stay within the document, and one
//! validation takes a bounded number of steps whatever the schema and the value are.
//!
//! `format`, `contentEncoding` and `contentMediaType` are annotations in both drafts, as 2020-12 has it: servers
//! mean different things by them and check them themselves. Regular expressions run in linear time; those with
//! look-around or back-references, which generators do emit, run under a bound on steps back and on the length of
//! the text.

mod containers;
mod defaults;
mod foreign;
mod instance;
mod message;
mod number;
mod places;
mod reference;
mod shape;

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use ringfence_json::{Object, Value};
use serde_json::Value as Foreign;

use self::instance::{Node, Ours, Part, Watch};
pub(crate) use self::number::plain as plain_number;
pub(crate) use self::shape::{Member, Shape};
use crate::limits::{PATTERN_BACKTRACKS_MAX, PATTERN_COMPILED_BYTES_MAX, SCHEMA_COMPILE_STACK_BYTES};
use crate::text::{bounded, shown};

/// A compiled schema. Used for a tool's input as well as its output.
pub struct InputSchema {
    validator: Validator<Ours>,
    root: Value,
    backtracking: bool,
    shape: Shape,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A bound of `limits.rs` is passed.
    #[error("the schema has more than {max} {what}: ask the server's author for a smaller one")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// `$schema` names another language.
    #[error("`$schema` is {}: JSON Schema 2020-12 and draft 7 are understood", shown(.dialect, 100))]
    Dialect {
        /// What it names.
        dialect: String,
    },
    /// A reference leaves the document.
    #[error("the reference {} leaves the schema: put what it names under `$defs`", shown(.target, 100))]
    Outside {
        /// The reference.
        target: String,
    },
    /// A reference names nothing.
    #[error("the reference {} names nothing in the schema", shown(.target, 100))]
    Reference {
        /// The reference.
        target: String,
    },
    /// References lead back to where they started without looking into the value.
    #[error("references in the schema go round in a circle")]
    Endless,
    /// `$id` or `$schema` below the top.
    #[error("the schema has `$id` or `$schema` below its top: that is not supported")]
    Nested,
    /// A number that cannot be compared exactly.
    #[error("a number in the schema has more digits, or is larger, than can be compared exactly")]
    Number,
    /// Not a schema.
    #[error("the schema is not valid: {message}")]
    Invalid {
        /// What is wrong, and where.
        message: String,
    },
}

/// Where a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /// A JSON Pointer (RFC 6901) into the value; empty for the whole.
    pub pointer: String,
    /// A sentence: which argument, and what was expected. Never what was sent.
    pub message: String,
}

// === impl InputSchema ===

impl InputSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is not one, is over a bound, refers to something outside of itself or has a number that a double
    /// cannot stand for.
    pub fn parse(schema: &Value) -> Result<Self, SchemaError> {
        let draft = draft(schema)?;
        let survey = places::survey(schema)?;
        let foreign = foreign::foreign(schema)?;
        let validator = compile(&foreign, draft)?;
        Ok(Self {
            validator,
            root: schema.clone(),
            backtracking: survey.backtracking,
            shape: Shape::of(schema),
        })
    }

    /// Checks the arguments of a call.
    ///
    /// # Errors
    /// The first place that does not fit, or that could not be checked within bounds.
    pub fn validate(&self, arguments: &Object) -> Result<(), Violation> {
        self.check(Part::Object(arguments))
    }

    /// Checks any value, such as a structured result.
    ///
    /// # Errors
    /// As [`InputSchema::validate`].
    pub fn validate_value(&self, value: &Value) -> Result<(), Violation> {
        self.check(Part::Value(value))
    }

    /// Asks for a bare answer first: that is the common case, it is cheap, and it remembers what it has seen.
    fn check(&self, whole: Part<'_>) -> Result<(), Violation> {
        let watch = Watch::of(whole, self.backtracking);
        let valid = self.validator.is_valid(Node::new(whole, &watch));
        // After trouble the validator saw less than there is, so its answer means nothing.
        match watch.trouble() {
            Some(trouble) => Err(message::trouble(trouble)),
            None if valid => Ok(()),
            None => Err(self.explain(whole)),
        }
    }

    fn explain(&self, whole: Part<'_>) -> Violation {
        let watch = Watch::of(whole, self.backtracking);
        let answer = self.validator.validate(Node::new(whole, &watch));
        match (watch.trouble(), answer) {
            (Some(trouble), _) => message::trouble(trouble),
            (None, Err(error)) => message::violation(self, &error),
            (None, Ok(())) => message::undecided(),
        }
    }

    /// The types of the arguments as far as the schema settles them.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The schema as its author wrote it.
    pub fn schema(&self) -> &Value {
        &self.root
    }
}

impl fmt::Debug for InputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputSchema").finish_non_exhaustive()
    }
}

impl PartialEq for InputSchema {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

/// The language of a schema (2020-12 core §8.1.1).
fn draft(schema: &Value) -> Result<Draft, SchemaError> {
    match schema.get("$schema") {
        None => Ok(Draft::Draft202012),
        Some(Value::String(name)) => match name.trim_end_matches('#') {
            "https://json-schema.org/draft/2020-12/schema" => Ok(Draft::Draft202012),
            "http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema" => {
                Ok(Draft::Draft7)
            }
            _ => Err(SchemaError::Dialect { dialect: name.to_string() }),
        },
        Some(_) => Err(SchemaError::Dialect { dialect: "not a string".to_owned() }),
    }
}

/// Compiles on a thread of its own: the compiler recurses as deep as a chain of references is long, and such a
/// chain can be longer than the stack of a worker allows.
fn compile(schema: &Foreign, draft: Draft) -> Result<Validator<Ours>, SchemaError> {
    let failed = |message: &str| SchemaError::Invalid { message: message.to_owned() };
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("schema".to_owned())
            .stack_size(SCHEMA_COMPILE_STACK_BYTES)
            .spawn_scoped(scope, || build(schema, draft))
            .map_err(|_| failed("no thread could be started to compile it"))?
            .join()
            .unwrap_or_else(|_| Err(failed("compiling it failed")))
    })
}

fn build(schema: &Foreign, draft: Draft) -> Result<Validator<Ours>, SchemaError> {
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit(PATTERN_BACKTRACKS_MAX)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX);
    jsonschema::options_for::<Ours>()
        .with_draft(draft)
        .offline()
        .with_pattern_options(patterns)
        .should_validate_formats(false)
        .without_content_encoding_support("base64")
        .without_content_media_type_support("application/json")
        .build(schema)
        .map_err(|error| {
            let place = shown(error.instance_path().as_str(), 100);
            // The validator says the same of a pattern that is no expression and of one that is too large.
            let is_pattern =
                matches!(error.kind(), ValidationErrorKind::Format { format } if format == "regex");
            let message = if is_pattern {
                "not a regular expression, or too large once compiled".to_owned()
            } else {
                crate::text::sentence(&error.masked().to_string(), 300)
            };
            SchemaError::Invalid { message: bounded(&format!("at {place}: {message}"), 500) }
        })
}
