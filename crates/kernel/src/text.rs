//! Texts on their way into an entry.

use crate::limits::REASON_BYTES_MAX;

/// The text, cut at a character's border to what an entry takes.
pub(crate) fn bounded(text: &str) -> String {
    if text.len() <= REASON_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=REASON_BYTES_MAX - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(bounded("short"), "short");
        let cut = bounded(&"é".repeat(2000));
        assert!(cut.len() <= REASON_BYTES_MAX && cut.ends_with('…'));
    }
}
