//! Names that strangers gave, as text that is safe to show and says which name it is.

use std::fmt::Write as _;

/// A name or path as text: what is no UTF-8, moves a cursor or hides is escaped, and so is the backslash, so that no two
/// names are shown alike.
pub(crate) fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                hidden if is_hidden(hidden) => drop(write!(text, "\\u{{{:x}}}", u32::from(hidden))),
                plain => text.push(plain),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// As [`shown`], of the first so many bytes.
pub(crate) fn shown_bytes(name: &[u8], most: usize) -> String {
    if name.len() <= most {
        return shown(name);
    }
    format!("{}…", shown(&name[..most]))
}

/// Control characters, direction marks, what has no width, line and paragraph separators, private use and tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_no_two_are_alike() {
        for (name, text) in [
            (&b"report.txt"[..], "report.txt"),
            ("für ☃/a b".as_bytes(), "für ☃/a b"),
            (b"a\nb", "a\\nb"),
            (b"a\\nb", "a\\\\nb"),
            (b"\x1b[2J", "\\u{1b}[2J"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("a\u{202e}txt.exe".as_bytes(), "a\\u{202e}txt.exe"),
            (b"\\xff", "\\\\xff"),
        ] {
            assert_eq!(shown(name), text);
        }
        assert_eq!((shown_bytes(b"abcd", 3).as_str(), shown_bytes(b"abc", 3).as_str()), ("abc…", "abc"));
    }
}
