//! Where reading writes what it finds.

use smol_str::SmolStr;

use crate::limits::DIAGNOSTICS_MAX;
use crate::{Diagnostic, Place};

/// Everything found in one text so far.
#[derive(Debug, Clone)]
pub struct Report {
    source: SmolStr,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
}

// === impl Report ===

impl Report {
    /// Nothing found yet in the text of that name.
    pub fn new(source: impl Into<SmolStr>) -> Self {
        Self { source: source.into(), diagnostics: Vec::new(), errors: 0 }
    }

    /// The name of the text.
    pub fn source(&self) -> &SmolStr {
        &self.source
    }

    /// Adds an error.
    pub fn error(&mut self, place: Place, message: impl Into<String>) {
        self.push(Diagnostic::error(self.source.clone(), place, message));
    }

    /// Adds an error and the way out.
    pub fn error_with_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Diagnostic::error(self.source.clone(), place, message).with_hint(hint));
    }

    /// Adds an error about a word, naming the nearest of those that would be right, or all of a few.
    pub fn unknown(&mut self, place: Place, message: impl Into<String>, word: &str, known: &[&str]) {
        self.push(Diagnostic::error(self.source.clone(), place, message).with_nearest(word, known));
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.push(Diagnostic::warning(self.source.clone(), place, message));
    }

    /// Adds a warning and the way out.
    pub fn warning_with_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Diagnostic::warning(self.source.clone(), place, message).with_hint(hint));
    }

    /// Adds a diagnostic made elsewhere. Past [`DIAGNOSTICS_MAX`] it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.is_error());
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    /// How many errors there are, also those past [`DIAGNOSTICS_MAX`].
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// What was found, in the order of the text; the last says so if there was more than is kept. A line that one of
    /// them does not show, none shows.
    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        let lines: Vec<(SmolStr, u32)> =
            self.diagnostics.iter().filter(|said| said.concealed).map(line_of).collect();
        for diagnostic in &mut self.diagnostics {
            diagnostic.concealed |= lines.contains(&line_of(diagnostic));
        }
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.place);
        let kept = self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        if self.errors > kept {
            let message = format!("and {} more errors", self.errors - kept);
            self.diagnostics.push(Diagnostic::error(self.source, Place::WHOLE, message));
        }
        self.diagnostics
    }
}

fn line_of(diagnostic: &Diagnostic) -> (SmolStr, u32) {
    (diagnostic.source.clone(), diagnostic.place.line)
}
