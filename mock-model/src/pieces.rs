//! Words: what an answer says when it is not told what to say.

/// Short words that every tokenizer knows as one token with the space before them.
const WORDS: [&str; 32] = [
    "the", "state", "of", "all", "parts", "is", "good", "and", "we", "can", "go", "on", "with", "next",
    "work", "as", "it", "was", "said", "in", "plan", "that", "you", "gave", "me", "so", "no", "more", "time",
    "for", "this", "day",
];

/// What breaks where bytes are taken for characters: two, three and four bytes long.
pub const WIDE: &str = "é€😀";

/// The text of an answer.
#[derive(Clone, Debug)]
pub enum Text {
    /// So many words.
    Words(u32),
    /// A given text.
    Given(String),
}

// === impl Text ===

impl Text {
    /// Cut to so many tokens. Returns whether something was cut off.
    pub fn limit(&mut self, most: u32) -> bool {
        let more = self.tokens() > most;
        if more {
            match self {
                Self::Words(words) => *words = most,
                Self::Given(text) => *text = text.chars().take(most as usize * 4).collect(),
            }
        }
        more
    }

    /// Its length in tokens: a word, or four characters.
    pub fn tokens(&self) -> u32 {
        match self {
            Self::Words(words) => *words,
            Self::Given(text) => u32::try_from(text.chars().count().div_ceil(4)).unwrap_or(u32::MAX),
        }
    }

    /// Piece number `index` of `count`.
    pub fn piece(&self, index: u32, count: u32) -> String {
        match self {
            Self::Words(words) => {
                let (from, to) = range(index, count, *words as usize);
                let mut text = String::with_capacity((to - from) * 6);
                for word in from..to {
                    if word > 0 {
                        text.push(' ');
                    }
                    text.push_str(WORDS[word % WORDS.len()]);
                }
                text
            }
            Self::Given(text) => {
                let (from, to) = range(index, count, text.chars().count());
                text.chars().skip(from).take(to - from).collect()
            }
        }
    }

    /// Tokens of piece number `index` of `count`.
    pub fn piece_tokens(&self, index: u32, count: u32) -> u32 {
        let (from, to) = range(index, count, self.tokens() as usize);
        u32::try_from(to - from).unwrap_or(u32::MAX)
    }

    /// All of it.
    pub fn whole(&self) -> String {
        self.piece(0, 1)
    }
}

/// Where piece number `index` of `count` begins and ends, of `length`.
fn range(index: u32, count: u32, length: usize) -> (usize, usize) {
    let at = |index: u32| index as usize * length / count.max(1) as usize;
    (at(index), at(index + 1))
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn pieces_make_the_whole() {
        for text in [Text::Words(37), Text::Given("ein längerer Text €".to_owned()), Text::Words(3)] {
            for count in [1, 2, 5, 20] {
                let all: String = (0..count).map(|index| text.piece(index, count)).collect();
                assert_eq!(all, text.whole());
                let tokens: u32 = (0..count).map(|index| text.piece_tokens(index, count)).sum();
                assert_eq!(tokens, text.tokens());
            }
        }
    }

    #[test]
    fn a_limit_cuts_to_so_many_tokens() {
        let mut text = Text::Words(37);
        assert!(text.limit(5));
        assert_eq!(text.tokens(), 5);
        assert!(!text.limit(5));
        let mut text = Text::Given("123456789".to_owned());
        assert!(text.limit(2));
        assert_eq!(text.whole(), "12345678");
    }
}
