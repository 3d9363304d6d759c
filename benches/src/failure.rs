//! What ends a bench early.

/// Why something could not be measured.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A failure in words of our own.
pub fn failure(what: impl Into<String>) -> Failure {
    what.into().into()
}
