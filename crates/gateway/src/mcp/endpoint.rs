//! The paths under which agents find MCP.

use ringfence_types::ServerName;

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/mcp/{server}`: one server, its names untouched.
    Server(ServerName),
    /// `/mcp`: the tools and prompts of all servers that the agent holds.
    Merged,
}

// === impl Endpoint ===

impl Endpoint {
    /// The endpoint of a path.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path.strip_prefix("/mcp")?.strip_suffix('/').unwrap_or(path.strip_prefix("/mcp")?) {
            "" => Some(Self::Merged),
            rest => Some(Self::Server(ServerName::new(rest.strip_prefix('/')?).ok()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_kinds_of_path_lead_anywhere() {
        let server = |name| Some(Endpoint::Server(ServerName::new(name).unwrap()));
        for (path, endpoint) in [
            ("/mcp", Some(Endpoint::Merged)),
            ("/mcp/", Some(Endpoint::Merged)),
            ("/mcp/search", server("search")),
            ("/mcp/search/", server("search")),
            ("/mcp/search/x", None),
            ("/mcp//", None),
            ("/mcpsearch", None),
            ("/mcp/Search", None),
            ("/mcp/..", None),
            ("/", None),
        ] {
            assert_eq!(Endpoint::of_path(path), endpoint, "{path}");
        }
    }
}
