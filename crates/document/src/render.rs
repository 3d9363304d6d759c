//! Diagnostics as people read them.

use std::fmt::Write as _;

use crate::limits::SHOWN_LINE_CHARS_MAX;
use crate::{Diagnostic, Place};

/// The diagnostic with the line it is about and a caret under the place; `text` is the source it came from. Ends with
/// a line break. No colour: whoever prints it may add some.
pub fn render(diagnostic: &Diagnostic, text: &str) -> String {
    let mut out = format!("{}: {}\n", diagnostic.severity, diagnostic.message);
    let Place { line, column, .. } = diagnostic.place;
    let margin = " ".repeat(line.to_string().len());
    // Writing to a string cannot fail.
    let _ = if line == 0 {
        writeln!(out, "{margin}--> {}", diagnostic.source)
    } else {
        writeln!(out, "{margin}--> {}:{line}:{column}", diagnostic.source)
    };
    let shown = if diagnostic.concealed { None } else { excerpt(text, diagnostic.place) };
    if let Some((excerpt, caret)) = shown {
        let _ = write!(out, "{margin} |\n{line} | {excerpt}\n{margin} | {caret}\n");
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(out, "{margin} = hint: {hint}");
    }
    out
}

/// The line and what points at the place below it. Of a long line, the part around the place.
fn excerpt(text: &str, place: Place) -> Option<(String, String)> {
    let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let line: Vec<char> = text.lines().nth(index)?.chars().map(printable).collect();
    let column = usize::try_from(place.column).ok()?.saturating_sub(1).min(line.len());
    let from = column.saturating_sub(SHOWN_LINE_CHARS_MAX / 2);
    let to = line.len().min(from + SHOWN_LINE_CHARS_MAX);
    let from = if line.len() <= SHOWN_LINE_CHARS_MAX { 0 } else { from };
    let width = usize::try_from(place.width).ok()?.clamp(1, to.saturating_sub(column).max(1));
    let excerpt: String = line.get(from..to)?.iter().collect();
    let caret = format!("{}{}", " ".repeat(column - from), "^".repeat(width));
    Some((excerpt.trim_end().to_owned(), caret))
}

/// A text on one line, fit to be read.
pub(crate) fn line(text: String) -> String {
    let readable = |character| printable(character) == character;
    if text.chars().all(readable) {
        return text;
    }
    text.chars().map(|character| if character == '\n' { ' ' } else { printable(character) }).collect()
}

/// Control characters and such as turn the direction of text must not reach a terminal.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let place = Place { line: 1, column: 501, width: 1 };
        let (shown, caret) = excerpt(&text, place).unwrap();
        assert_eq!(shown.len(), SHOWN_LINE_CHARS_MAX);
        assert_eq!(shown.chars().nth(caret.len() - 1), Some('X'));
    }

    #[test]
    fn what_could_move_a_cursor_is_not_shown() {
        let (shown, _) = excerpt("a\u{1b}[2J\u{202e}b", Place { line: 1, column: 1, width: 1 }).unwrap();
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
    }

    #[test]
    fn what_a_message_quotes_is_not_shown_raw_either() {
        let place = Place { line: 1, column: 1, width: 1 };
        let diagnostic = Diagnostic::error("f", place, "unknown key `a\u{1b}[2J`\nx").with_hint("\u{202e}b");
        assert_eq!(diagnostic.to_string(), "f:1:1: error: unknown key `a\u{fffd}[2J` x (\u{fffd}b)");
        assert!(!render(&diagnostic, "a").contains('\u{1b}'));
    }

    #[test]
    fn a_concealed_line_stays_hidden() {
        let mut diagnostic = Diagnostic::error("f", Place { line: 1, column: 1, width: 1 }, "bad");
        assert!(render(&diagnostic, "key: hunter2").contains("hunter2"));
        diagnostic.concealed = true;
        assert!(!render(&diagnostic, "key: hunter2").contains("hunter2"));
    }

    #[test]
    fn a_place_outside_the_text_is_no_trouble() {
        for (line, column) in [(0, 0), (1, 99), (99, 1), (u32::MAX, u32::MAX)] {
            let place = Place { line, column, width: u32::MAX };
            assert!(render(&Diagnostic::error("f", place, "bad"), "ab").starts_with("error: bad"));
        }
    }
}
