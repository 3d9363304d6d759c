//! Texts in pieces.

/// A text in so many pieces, or word by word; never an empty piece, and none of an empty text.
pub(super) fn pieces(text: &str, count: Option<usize>) -> Vec<&str> {
    match count {
        Some(count) => equal(text, count.max(1)),
        None => words(text),
    }
}

fn equal(text: &str, count: usize) -> Vec<&str> {
    let size = text.chars().count().div_ceil(count).max(1);
    let mut all = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        all.push(piece);
        rest = after;
    }
    all
}

/// Each word with the space before it.
fn words(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut start, mut in_word) = (0, false);
    for (at, character) in text.char_indices() {
        let is_space = character.is_whitespace();
        if is_space && in_word {
            all.push(&text[start..at]);
            start = at;
        }
        in_word = !is_space;
    }
    if start < text.len() {
        all.push(&text[start..]);
    }
    all
}

/// The longest beginning of a text that fits, where each beginning of one that fits does too.
pub(super) fn longest(text: &str, fits: impl Fn(&str) -> bool) -> &str {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let fitting = ends.partition_point(|end| fits(&text[..*end]));
    let end = fitting.checked_sub(1).and_then(|at| ends.get(at)).copied().unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_pieces_is_the_text() {
        for text in ["", "a", "Grüße aus Köln, und  zwar\nviele.", " x ", "日本語"] {
            for count in [None, Some(0), Some(1), Some(3), Some(100)] {
                let all = pieces(text, count);
                assert_eq!(all.concat(), text, "{count:?}");
                assert!(all.iter().all(|piece| !piece.is_empty()));
                assert!(count.is_none_or(|count| all.len() <= count.max(1)), "{text}: {all:?}");
            }
        }
        assert_eq!(pieces("one two  three", None), ["one", " two", "  three"]);
    }

    #[test]
    fn the_longest_beginning_that_fits_is_found() {
        assert_eq!(longest("Köln", |text| text.len() <= 3), "Kö");
        assert_eq!(longest("Köln", |text| text.len() <= 2), "K");
        assert_eq!(longest("Köln", |_| true), "Köln");
        assert_eq!(longest("Köln", |_| false), "");
    }
}
