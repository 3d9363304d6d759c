//! What is wrong with a text, where, and the way out.

use std::fmt;

use ringfence_json::Object;
use smol_str::SmolStr;

use crate::render::line;
use crate::{Place, nearest};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The text cannot be used.
    Error,
    /// It can, and may not mean what its author thinks.
    Warning,
}

/// One thing to tell whoever wrote a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the text, as its reader knows it.
    pub source: SmolStr,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The line may hold a secret and is not shown.
    pub concealed: bool,
}

// === impl Severity ===

impl Severity {
    /// The word that stands in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    /// Something that makes a text unusable.
    pub fn error(source: impl Into<SmolStr>, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, source.into(), place, message.into())
    }

    /// Something its author should know.
    pub fn warning(source: impl Into<SmolStr>, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, source.into(), place, message.into())
    }

    /// What is quoted in a message comes from the text, which may be a stranger's: it must not steer a terminal or a log.
    fn new(severity: Severity, source: SmolStr, place: Place, message: String) -> Self {
        Self { severity, source, place, message: line(message), hint: None, concealed: false }
    }

    /// Adds the way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(line(hint.into()));
        self
    }

    /// Adds, of an error about a word, the nearest of those that would be right, or all of a few.
    #[must_use]
    pub fn with_nearest(self, word: &str, known: &[&str]) -> Self {
        match nearest(word, known.iter().copied()) {
            Some(near) => self.with_hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.with_hint(format!("one of {}", known.join(", "))),
        }
    }

    /// Whether it makes the text unusable.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// For programs: severity, source, line, column, message and hint; no line and column where it is about the
    /// whole text.
    pub fn to_object(&self) -> Object {
        let placed = self.place.line > 0;
        Object::new()
            .with("severity", self.severity.as_str())
            .with("source", self.source.as_str())
            .with_some("line", placed.then_some(self.place.line))
            .with_some("column", placed.then_some(self.place.column))
            .with("message", self.message.as_str())
            .with_some("hint", self.hint.as_deref())
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `safety-policy.yaml:3:5: error: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if self.place.line > 0 {
            write!(f, ":{}:{}", self.place.line, self.place.column)?;
        }
        write!(f, ": {}: {}", self.severity, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
