//! `*` and `?`.

use smol_str::SmolStr;

/// A pattern, taken apart once. `*` stands for any characters, also none and also `/`; `?` for exactly one; there is
/// no escape. The whole value has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    // INVARIANT: at least one piece; between two pieces stands a `*`, so one piece means that there is none.
    pieces: Box<[SmolStr]>,
}

// === impl Glob ===

impl Glob {
    /// Whether a text has to be compiled: whether it has a `*` or `?`.
    pub(crate) fn is_glob(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// Takes any text as a pattern.
    pub fn new(text: &str) -> Self {
        Self { pieces: text.split('*').map(SmolStr::new).collect() }
    }

    /// Whether the whole value fits.
    pub fn matches(&self, value: &str) -> bool {
        let [first, rest @ ..] = &*self.pieces else { return false };
        let Some(mut value) = after(first, value) else { return false };
        let [middle @ .., last] = rest else { return value.is_empty() };
        // The leftmost place of each piece leaves most room for those that follow, so there is no going back.
        for piece in middle {
            match find(piece, value) {
                Some(rest) => value = rest,
                None => return false,
            }
        }
        ends_with(value, last)
    }

    /// What every value that fits begins with.
    pub(crate) fn prefix(&self) -> &str {
        let first = self.pieces.first().map_or("", SmolStr::as_str);
        first.split('?').next().unwrap_or_default()
    }

    /// What every value that fits ends with.
    pub(crate) fn suffix(&self) -> &str {
        let last = self.pieces.last().map_or("", SmolStr::as_str);
        last.rsplit('?').next().unwrap_or_default()
    }

    /// A value that fits.
    pub(crate) fn example(&self) -> String {
        self.pieces.concat().replace('?', "x")
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pieces.join("*"))
    }
}

/// What follows the piece at the beginning of the value, if it stands there.
fn after<'v>(piece: &str, value: &'v str) -> Option<&'v str> {
    if !piece.contains('?') {
        return value.strip_prefix(piece);
    }
    let mut rest = value.chars();
    for wanted in piece.chars() {
        let found = rest.next()?;
        if wanted != '?' && wanted != found {
            return None;
        }
    }
    Some(rest.as_str())
}

/// What follows the leftmost place of the piece in the value.
fn find<'v>(piece: &str, value: &'v str) -> Option<&'v str> {
    if !piece.contains('?') {
        return value.find(piece).map(|at| &value[at + piece.len()..]);
    }
    value.char_indices().find_map(|(at, _)| after(piece, &value[at..]))
}

fn ends_with(value: &str, piece: &str) -> bool {
    if !piece.contains('?') {
        return value.ends_with(piece);
    }
    let mut rest = value.chars().rev();
    piece.chars().rev().all(|wanted| rest.next().is_some_and(|found| wanted == '?' || wanted == found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, as slow as it is plain.
    fn fits(pattern: &[char], value: &[char]) -> bool {
        match (pattern, value) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=value.len()).any(|taken| fits(rest, &value[taken..])),
            (['?', pattern @ ..], [_, value @ ..]) => fits(pattern, value),
            ([wanted, pattern @ ..], [found, value @ ..]) => wanted == found && fits(pattern, value),
            _ => false,
        }
    }

    #[test]
    fn patterns_mean_what_they_look_like() {
        let cases = [
            ("read_*", "read_file", true),
            ("read_*", "read_", true),
            ("read_*", "unread_file", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*", "", true),
            ("?", "é", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a*a", "a", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("Read*", "read", false),
        ];
        for (pattern, value, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(value), expected, "{pattern} ~ {value}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[abé*?]{0,8}", value in "[abé]{0,10}") {
            let plain = fits(&pattern.chars().collect::<Vec<_>>(), &value.chars().collect::<Vec<_>>());
            let glob = Glob::new(&pattern);
            prop_assert_eq!(glob.matches(&value), plain, "{} ~ {}", pattern, value);
            if plain {
                prop_assert!(value.starts_with(glob.prefix()) && value.ends_with(glob.suffix()));
            }
            prop_assert!(glob.matches(&glob.example()), "{}", glob);
            prop_assert_eq!(glob.to_string(), pattern);
        }
    }
}
