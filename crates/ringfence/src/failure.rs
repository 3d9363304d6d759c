//! How a command ends when it does not end well: a cause, a way out and an exit status.

use std::fmt;
use std::process::ExitCode;

/// Exit statuses other than 0, as programs rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Whoever read our output has gone; nothing is wrong.
    Quiet,
    /// The answer is no: a failed check, a denied approval, a broken log.
    No,
    /// Wrong use or bad configuration.
    Usage,
    /// The node cannot be reached.
    Unreachable,
    /// A program that was run ended with this.
    Program(u8),
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: Option<String>,
    hint: Option<String>,
}

// === impl Failure ===

impl Failure {
    /// The answer is no.
    pub fn no(message: impl Into<String>) -> Self {
        Self { exit: Exit::No, message: Some(message.into()), hint: None }
    }

    /// Wrong use or bad configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()), hint: None }
    }

    /// The node cannot be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, message: Some(message.into()), hint: None }
    }

    /// Ends with that status; what there is to say has been said already.
    pub fn said(exit: Exit) -> Self {
        Self { exit, message: None, hint: None }
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the way out, if there is one.
    #[must_use]
    pub fn hint_some(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// The status to exit with.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    /// `error: CAUSE` and, on a line of its own, `  hint: WAY OUT`. Nothing when it has been said already.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = &self.message {
            write!(f, "error: {message}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Quiet => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Program(status) => status,
        })
    }
}

impl From<std::io::Error> for Failure {
    /// An error on our own output: a closed pipe is the reader's choice, anything else is told.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::said(Exit::Quiet),
            _ => Self::no(format!("cannot write the answer: {error}")),
        }
    }
}
