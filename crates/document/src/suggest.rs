//! "Did you mean".

use strsim::damerau_levenshtein;

/// Words longer than this are not compared: the distance costs the product of the lengths.
const WORD_BYTES_MAX: usize = 64;

/// The word that was most likely meant, if one is near enough: at most one slip in three letters. Of equally near
/// ones the first.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let lowered = word.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX)
        .map(|candidate| (damerau_levenshtein(&lowered, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= slips(word.len().min(candidate.len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn slips(length: usize) -> usize {
    match length {
        0 => 0,
        1..=4 => 1,
        _ => length / 3,
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["action", "action_type", "agent", "environment"];
        let cases = [
            ("acton", Some("action")),
            ("actoin", Some("action")),
            ("Action", Some("action")),
            ("enviroment", Some("environment")),
            ("agnet", Some("agent")),
            ("color", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(5000), ["b"]), None);
    }
}
