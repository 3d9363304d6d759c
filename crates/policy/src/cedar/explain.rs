//! Cedar's errors in this house's words: with a place, and without what an agent sent.

use cedar_policy::EvaluationError;
use miette::Diagnostic as _;
use ringfence_document::{Diagnostic, Place};

use crate::text::{escaped, sentence};

/// Length of what Cedar says, in characters.
const CHARS_MAX: usize = 300;

/// Why a rule could not be evaluated. Only the kind of the error: Cedar's own text can quote values of the request.
pub(super) fn evaluation(error: &EvaluationError) -> String {
    use EvaluationError as Error;
    let kind = match error {
        Error::RecordAttrDoesNotExist(_) => {
            let attribute = error.to_string();
            let name = attribute.split('`').nth(1).unwrap_or_default();
            return format!("it reads `{}`, which this call does not have", escaped(name, 80));
        }
        Error::EntityAttrDoesNotExist(_) | Error::EntityDoesNotExist(_) => {
            "it reads something of an entity that the entity does not have"
        }
        Error::TypeError(_) => {
            "it compares values of different types, or a number that is too large or too precise for Cedar"
        }
        Error::IntegerOverflow(_) => "a calculation in it is beyond what a whole number can hold",
        Error::FailedExtensionFunctionExecution(_)
        | Error::FailedExtensionFunctionLookup(_)
        | Error::WrongNumArguments(_) => "a function that it calls cannot take what it is given",
        Error::RecursionLimit(_) => "it is nested too deeply",
        _ => "Cedar cannot evaluate it",
    };
    kind.to_owned()
}

/// Turns byte offsets into places.
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Where each line begins.
    // INVARIANT: sorted, the first is 0.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The place at a byte offset; the rest of its line at most.
    pub(super) fn place(&self, offset: usize, length: usize) -> Place {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        let after = &self.text[offset..];
        let end = after.floor_char_boundary(length.min(after.len()));
        let width = after[..end].lines().next().map_or(1, |line| line.chars().count().max(1));
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let column = self.text[start..offset].chars().count() + 1;
        Place { line: small(line), column: small(column), width: small(width) }
    }
}

/// The byte offset and length that an error of Cedar points to.
pub(super) fn span(error: &dyn miette::Diagnostic) -> Option<(usize, usize)> {
    let label = error.labels()?.next()?;
    Some((label.offset(), label.len()))
}

/// Everything that is wrong with a text, as Cedar's parser says it.
pub(super) fn parse(errors: &cedar_policy::ParseErrors, source: &str, text: &str) -> Vec<Diagnostic> {
    let lines = Lines::of(text);
    errors
        .iter()
        .map(|error| {
            let place = span(error).map_or(Place::WHOLE, |(offset, length)| lines.place(offset, length));
            let diagnostic = Diagnostic::error(source, place, sentence(&error.to_string(), CHARS_MAX));
            match error.help() {
                Some(help) => diagnostic.with_hint(sentence(&help.to_string(), CHARS_MAX)),
                None => diagnostic,
            }
        })
        .collect()
}
