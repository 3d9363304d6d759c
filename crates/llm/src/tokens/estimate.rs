//! An estimate without tables: splits a text about where OpenAI's tokenizers do before they merge, and counts what a
//! piece of each kind usually becomes.

use super::Tokenizer;

/// Tokens are counted in hundredths until the end.
const ONE: u64 = 100;

/// What one piece of a text consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start,
    Space,
    Break,
    Digit,
    Lower,
    Upper,
    Mark,
    Wide,
}

/// What pieces come to, in hundredths of a token.
struct Weights {
    /// Each letter of a word past its first [`WORD`].
    letter: u64,
    /// Each letter past the basic ones: Latin with accents, Greek, Cyrillic, Arabic and their like.
    alphabet: u64,
    /// Each letter of the other alphabets, of India and South-East Asia above all.
    letter_beyond: u64,
    /// Each character of a script without an alphabet.
    ideograph: u64,
    /// Each picture.
    picture: u64,
}

/// Letters that a word mostly has in its first token.
const WORD: u64 = 7;

pub(super) fn count(tokenizer: Tokenizer, text: &str) -> u64 {
    let weights = match tokenizer {
        Tokenizer::O200k => {
            Weights { letter: 25, alphabet: 40, letter_beyond: 40, ideograph: 90, picture: 130 }
        }
        Tokenizer::Cl100k => {
            Weights { letter: 25, alphabet: 65, letter_beyond: 120, ideograph: 130, picture: 220 }
        }
        Tokenizer::Bytes => {
            Weights { letter: 30, alphabet: 65, letter_beyond: 120, ideograph: 150, picture: 220 }
        }
    };
    let (mut total, mut kind, mut length) = (0, Kind::Start, 0);
    for letter in text.chars() {
        let next = kind_of(letter);
        // A capital begins a word, and small letters follow it.
        let goes_on = next == kind || (kind == Kind::Upper && next == Kind::Lower && length == 1);
        length = if goes_on { length + 1 } else { 1 };
        total += cost(&weights, letter, kind, next, length);
        kind = next;
    }
    // A text is a token at least.
    total.div_ceil(ONE).max(u64::from(!text.is_empty()))
}

fn kind_of(letter: char) -> Kind {
    match letter {
        'a'..='z' => Kind::Lower,
        'A'..='Z' => Kind::Upper,
        '0'..='9' => Kind::Digit,
        ' ' | '\t' => Kind::Space,
        '\n' | '\r' => Kind::Break,
        '\0'..='\x7f' => Kind::Mark,
        _ => Kind::Wide,
    }
}

/// What one more character costs: the `length`th of its piece, after one of the kind `before`.
fn cost(weights: &Weights, letter: char, before: Kind, kind: Kind, length: u64) -> u64 {
    match kind {
        Kind::Start => 0,
        // The space before a word belongs to it; an indentation is one token.
        Kind::Space => {
            if length == 2 {
                ONE
            } else {
                u64::from(length > 2) * 2
            }
        }
        Kind::Break => {
            if length == 1 {
                ONE
            } else {
                10
            }
        }
        Kind::Digit => {
            if length % 3 == 1 {
                ONE
            } else {
                0
            }
        }
        Kind::Mark => match (length, before) {
            (1, _) => ONE,
            (2, _) => 20,
            _ => 60,
        },
        Kind::Lower | Kind::Upper => match length {
            // A mark before a word often belongs to it.
            1 => {
                if before == Kind::Mark {
                    80
                } else {
                    ONE
                }
            }
            2..=WORD => 0,
            _ => weights.letter,
        },
        Kind::Wide => match letter {
            '\0'..='\u{6ff}' => weights.alphabet,
            '\u{700}'..='\u{1fff}' | '\u{2c00}'..='\u{2dff}' | '\u{a640}'..='\u{abff}' => {
                weights.letter_beyond
            }
            '\u{1f000}'.. => weights.picture,
            _ => weights.ideograph,
        },
    }
}
