//! Texts on their way into an entry.

use crate::limits::REASON_BYTES_MAX;

/// The text, cut at a character's border to what an entry takes, as JSON writes it there.
pub(crate) fn bounded(text: &str) -> String {
    let mut bytes = 0;
    let fits = |(at, character): (usize, char)| {
        bytes += written(character);
        (bytes > REASON_BYTES_MAX - 3).then_some(at)
    };
    let Some(end) = text.char_indices().find_map(fits) else { return text.to_owned() };
    if text.len() <= REASON_BYTES_MAX && text.chars().map(written).sum::<usize>() <= REASON_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..end])
}

/// Bytes of a character in a JSON string (RFC 8785 §3.2.2.2).
fn written(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        character if character < ' ' => 6,
        character => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(bounded("short"), "short");
        let cut = bounded(&"é".repeat(2000));
        assert!(cut.len() <= REASON_BYTES_MAX && cut.ends_with('…'));
        let escaped = bounded(&"\u{1}".repeat(REASON_BYTES_MAX));
        assert!(escaped.len() <= REASON_BYTES_MAX / 6 + 3, "control characters are written with six bytes");
        let exact = "x".repeat(REASON_BYTES_MAX);
        assert_eq!(bounded(&exact), exact);
    }
}
