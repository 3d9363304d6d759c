//! What an agent holds.

use ringfence_policy::Glob;
use ringfence_types::{NameError, ServerName};

/// The tools an agent holds: patterns `server/tool`, `*` and `?` in the tool's part. Without one, nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    server: ServerName,
    tool: Glob,
}

/// A text that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no slash.
    #[error("a grant is written server/tool, such as search/* or files/read_*")]
    NoSlash,
    /// The part before the slash is not a server's name. Servers are named, never matched.
    #[error("before the slash stands a server: {0}")]
    Server(#[from] NameError),
}

// === impl Grants ===

impl Grants {
    /// Reads patterns as `ringfence.yaml` has them.
    ///
    /// # Errors
    /// At the first text that is no grant.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, GrantError> {
        let patterns = patterns.into_iter().map(|text| {
            let (server, tool) = text.split_once('/').ok_or(GrantError::NoSlash)?;
            if tool.is_empty() {
                return Err(GrantError::NoSlash);
            }
            Ok(Pattern { server: ServerName::new(server)?, tool: Glob::new(tool) })
        });
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether the tool of that server is held.
    pub fn holds(&self, server: &ServerName, tool: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.server == *server && pattern.tool.matches(tool))
    }

    /// Whether anything of that server is held.
    pub fn holds_server(&self, server: &ServerName) -> bool {
        self.patterns.iter().any(|pattern| pattern.server == *server)
    }

    /// The servers of which anything is held, each once, in the order written.
    pub fn servers(&self) -> Vec<&ServerName> {
        let mut servers: Vec<&ServerName> = Vec::new();
        for pattern in &self.patterns {
            if !servers.contains(&&pattern.server) {
                servers.push(&pattern.server);
            }
        }
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_holds_what_its_pattern_matches_and_nothing_else() {
        let grants = Grants::parse(["search/*", "files/read_*", "mail/send"]).unwrap();
        let server = |name| ServerName::new(name).unwrap();
        assert!(grants.holds(&server("search"), "query"));
        assert!(grants.holds(&server("files"), "read_file"));
        assert!(!grants.holds(&server("files"), "write_file"));
        assert!(grants.holds(&server("mail"), "send"));
        assert!(!grants.holds(&server("mail"), "send_all"));
        assert!(!grants.holds(&server("other"), "query"));
        assert!(!Grants::default().holds(&server("search"), "query"));
        assert_eq!(grants.servers().len(), 3);
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for bad in ["search", "/x", "*/x", "search/", "Se/x"] {
            assert!(Grants::parse([bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn globs_match_as_people_expect() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("read_?", "read_1", true),
            ("read_?", "read_", false),
            ("**", "x", true),
            ("résumé_*", "résumé_x", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} ~ {text}");
        }
    }
}
