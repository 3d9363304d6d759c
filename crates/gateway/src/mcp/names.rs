//! The names that `/mcp` gives to the tools and prompts of all servers: `{server}__{tool}`.
//!
//! A server's name has no underscore, so the first two of them end it. Clients and models take names of at most 64
//! characters: a longer one is cut and gets a suffix made from the SHA-256 of the whole.

use ringfence_types::{Digest, ServerName};

/// The longest a name may be, in characters.
pub const NAME_CHARACTERS_MAX: usize = 64;

const SEPARATOR: &str = "__";
/// `_` and 16 hexadecimal digits.
const SUFFIX_CHARACTERS: usize = 17;

/// The name under which `/mcp` shows a tool or prompt of a server.
// INVARIANT: injective up to a collision of 64 bits of SHA-256. A name that is short enough stays as it is, unless it
// looks like a cut one; so the two kinds never meet.
pub fn exposed(server: &ServerName, name: &str) -> String {
    let whole = format!("{server}{SEPARATOR}{name}");
    if whole.chars().count() <= NAME_CHARACTERS_MAX && !looks_cut(&whole) {
        return whole;
    }
    let mut suffix = Digest::of(whole.as_bytes()).to_string();
    suffix.truncate(SUFFIX_CHARACTERS - 1);
    let kept: String = whole.chars().take(NAME_CHARACTERS_MAX - SUFFIX_CHARACTERS).collect();
    format!("{kept}_{suffix}")
}

/// The server and name that an exposed name stands for, if it was not cut. For a cut one look through what is known
/// ([`looks_cut`]).
pub fn split(exposed: &str) -> Option<(ServerName, &str)> {
    if looks_cut(exposed) {
        return None;
    }
    let (server, name) = exposed.split_once(SEPARATOR)?;
    if name.is_empty() {
        return None;
    }
    Some((ServerName::new(server).ok()?, name))
}

/// Whether a name has the form of a cut one.
pub fn looks_cut(exposed: &str) -> bool {
    let Some((at, _)) = exposed.char_indices().nth(NAME_CHARACTERS_MAX - SUFFIX_CHARACTERS) else {
        return false;
    };
    let suffix = &exposed.as_bytes()[at..];
    suffix.len() == SUFFIX_CHARACTERS
        && suffix[0] == b'_'
        && suffix[1..].iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(name: &str) -> ServerName {
        ServerName::new(name).unwrap()
    }

    #[test]
    fn short_names_keep_their_parts_and_long_ones_are_cut() {
        assert_eq!(exposed(&server("search"), "query"), "search__query");
        assert_eq!(split("search__query"), Some((server("search"), "query")));
        assert_eq!(split("a___x__y"), Some((server("a"), "_x__y")));
        for nothing in ["query", "__query", "search__", "Search__query", ""] {
            assert_eq!(split(nothing), None, "{nothing}");
        }
        let long = exposed(&server("search"), &"q".repeat(100));
        assert_eq!(long.chars().count(), NAME_CHARACTERS_MAX);
        assert!(looks_cut(&long) && long.starts_with("search__qqq"));
        assert_eq!(split(&long), None);
    }

    #[test]
    fn a_tool_cannot_take_the_cut_name_of_another() {
        let long = exposed(&server("a"), &"q".repeat(100));
        let forged = long.strip_prefix("a__").unwrap();
        assert_ne!(exposed(&server("a"), forged), long);
    }

    proptest! {
        #[test]
        fn names_are_short_stable_and_collide_for_nobody(
            one in ("[a-c-]{0,2}", "[a-b_é]{1,90}"), other in ("[a-c-]{0,2}", "[a-b_é]{1,90}")
        ) {
            let name = |(rest, tool): &(String, String)| exposed(&server(&format!("a{rest}")), tool);
            prop_assert!(name(&one).chars().count() <= NAME_CHARACTERS_MAX);
            prop_assert_eq!(name(&one) == name(&other), one == other);
            if let Some((found, tool)) = split(&name(&one)) {
                prop_assert_eq!((found, tool), (server(&format!("a{}", one.0)), one.1.as_str()));
            }
        }
    }
}
