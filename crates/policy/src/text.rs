//! Text from strangers, as people may safely read it.

use std::fmt::Write;

/// Whether a character could hide, reorder or forge what stands around it on a screen: controls, bidirectional
/// marks, joiners, invisible operators, variation selectors, tags, private and unassigned uses.
pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// The text between backquotes, deceptive characters and backquotes written as `\u{…}`, at most `chars_max`
/// characters of it.
pub(crate) fn shown(text: &str, chars_max: usize) -> String {
    format!("`{}`", escaped(text, chars_max))
}

/// The text with deceptive characters and backquotes written as `\u{…}`, at most `chars_max` characters of it.
pub(crate) fn escaped(text: &str, chars_max: usize) -> String {
    escaped_but(text, chars_max, &[])
}

/// As [`escaped`], for a sentence that a library made and that quotes with backquotes itself.
pub(crate) fn sentence(text: &str, chars_max: usize) -> String {
    escaped_but(text, chars_max, &['`'])
}

fn escaped_but(text: &str, chars_max: usize, plain: &[char]) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max * 2));
    let mut characters = text.chars();
    for character in characters.by_ref().take(chars_max) {
        match character {
            kept if plain.contains(&kept) => out.push(kept),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '`' => out.push_str("\\u{60}"),
            deceptive if is_deceptive(deceptive) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(deceptive));
            }
            plain => out.push(plain),
        }
    }
    let left = characters.count();
    if left > 0 {
        let _ = write!(out, "… ({left} more characters)");
    }
    out
}

/// At most `bytes_max` bytes of the text, cut between characters.
pub(crate) fn bounded(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)])
}
