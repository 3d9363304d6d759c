//! Text that comes from agents and tools, made fit to be read by people: nothing in it can move a cursor, reverse a
//! line, hide itself or fill the screen. Whatever shows such text to a person goes through [`text`] or [`line`].

use std::fmt::Write as _;

/// The most characters a line of a table or a message shows of one text.
pub const LINE_CHARACTERS_MAX: usize = 500;

/// The text on one line, bounded to [`LINE_CHARACTERS_MAX`] characters.
pub fn line(raw: &str) -> String {
    text(raw, LINE_CHARACTERS_MAX)
}

/// The text with everything escaped that is not plainly visible, and cut after `characters_max` characters with a
/// note of how many bytes there are in all.
pub fn text(raw: &str, characters_max: usize) -> String {
    let mut shown = String::with_capacity(raw.len().min(characters_max.saturating_mul(2)));
    for (count, character) in raw.chars().enumerate() {
        if count == characters_max {
            // Writing to a String does not fail.
            let _ = write!(shown, "… ({} bytes in all)", raw.len());
            break;
        }
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            hidden if is_hidden(hidden) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => shown.push(plain),
        }
    }
    shown
}

/// Several lines of text: as [`text`], but line breaks stay, and every line starts with `indent`.
pub fn block(raw: &str, indent: &str, characters_max: usize) -> String {
    let mut left = characters_max;
    let mut lines = Vec::new();
    for part in raw.lines() {
        if left == 0 {
            lines.push(format!("{indent}… ({} bytes in all)", raw.len()));
            break;
        }
        lines.push(format!("{indent}{}", text(part, left)));
        left = left.saturating_sub(part.chars().count() + 1);
    }
    lines.join("\n")
}

/// Characters that change how others are shown, or show nothing: control characters (with them ANSI sequences),
/// direction marks, zero-width and invisible ones, tags, and what is not assigned to mean anything.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{10ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_hides() {
        assert_eq!(line("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(line("pay \u{202e}001\u{202c}"), "pay \\u{202e}001\\u{202c}");
        assert_eq!(line("one\r\ntwo\t\u{9b}31m"), "one\\r\\ntwo\\t\\u{9b}31m");
        assert_eq!(line("x\u{200b}y\u{e0041}\u{feff}"), "x\\u{200b}y\\u{e0041}\\u{feff}");
        assert_eq!(line("Grüße, 世界 — fine"), "Grüße, 世界 — fine");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = text(&"ä".repeat(100), 10);
        assert_eq!(cut, format!("{}… (200 bytes in all)", "ä".repeat(10)));
        assert_eq!(text("exact", 5), "exact");
    }

    #[test]
    fn a_block_keeps_its_lines_and_its_bound() {
        assert_eq!(block("a\nb\x07", "  ", 100), "  a\n  b\\u{7}");
        let cut = block(&"line\n".repeat(100), "", 20);
        assert_eq!(cut.lines().count(), 5);
        assert!(cut.ends_with("… (500 bytes in all)"));
    }
}
