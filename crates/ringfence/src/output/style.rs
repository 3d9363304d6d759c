//! Colour, where a person looks and wants it.

use std::io::IsTerminal;

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Heading,
    /// It went well.
    Good,
    /// It was refused or is broken.
    Bad,
    /// It waits or needs a look.
    Warning,
    /// Of less weight.
    Faint,
}

/// Whether standard output is a terminal whose owner has not asked for plain text (no-color.org).
pub fn wanted() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !plain && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && std::io::stdout().is_terminal()
}

/// `text` in `style`, or as it is.
pub fn paint(text: &str, style: Style, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match style {
        Style::Heading => "1",
        Style::Good => "32",
        Style::Bad => "31",
        Style::Warning => "33",
        Style::Faint => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
