//! Where the tool servers are, and what opens them: as the configuration has it now.
//!
//! `control` makes a [`Table`] and puts it in with [`Targets::replace`]. It is looked at anew for every call, so a
//! change takes effect on sessions that are open.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue, Uri};
use ringfence_types::{ServerName, WorkspaceName};
use smol_str::SmolStr;

/// The targets as they are now. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<ArcSwap<Table>>);

/// All tool servers of all workspaces.
#[derive(Debug, Default)]
pub struct Table {
    /// The servers of each workspace, by name.
    pub workspaces: HashMap<WorkspaceName, HashMap<ServerName, Target>>,
}

/// One tool server. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Over streamable HTTP.
    Http(Arc<HttpTarget>),
    /// As a child of the node.
    Stdio(Arc<StdioTarget>),
}

/// A tool server that speaks streamable HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// `http` or `https`, with a host.
    pub url: Uri,
    /// Headers that every request gets: what authenticates the node there. Never anything of the agent's.
    pub headers: Vec<(HeaderName, Source)>,
}

/// A tool server that speaks on standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdioTarget {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Environment variables beside the sandbox's own.
    pub environment: Vec<(String, Source)>,
    /// The directory it starts in, absolute; its private home without one.
    pub directory: Option<PathBuf>,
    /// Who shares a child.
    pub share: Share,
}

/// Who shares one child of a stdio server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Share {
    /// Each run has its own.
    #[default]
    Run,
    /// All runs of the workspace. The server then cannot ask clients anything: nobody could say whom.
    Workspace,
}

/// Where a secret value comes from. `Debug` shows the place, never the value.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// It stands in the configuration, or was resolved from it.
    Fixed(SmolStr),
    /// An environment variable of the node, read for every call.
    Environment(SmolStr),
}

/// A secret is not where the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The variable is not set, or not text.
    #[error("the environment variable `{0}` is not set; set it for the node and restart it")]
    Environment(SmolStr),
    /// The value has characters that a header cannot have.
    #[error("the value for the header `{0}` has characters that a header cannot have")]
    Header(HeaderName),
}

// === impl Targets ===

impl Targets {
    /// These targets.
    pub fn new(table: Table) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }

    /// Puts other targets in their place, for every call from now on.
    pub fn replace(&self, table: Table) {
        self.0.store(Arc::new(table));
    }

    /// The target of a server, as it is now.
    pub fn get(&self, workspace: &WorkspaceName, server: &ServerName) -> Option<Target> {
        self.0.load().workspaces.get(workspace)?.get(server).cloned()
    }

    /// The servers of a workspace, by name.
    pub fn servers(&self, workspace: &WorkspaceName) -> Vec<ServerName> {
        let table = self.0.load();
        let mut names: Vec<_> =
            table.workspaces.get(workspace).into_iter().flat_map(HashMap::keys).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Every server of every workspace.
    pub fn all(&self) -> Vec<(WorkspaceName, ServerName)> {
        let table = self.0.load();
        let mut all: Vec<_> = table
            .workspaces
            .iter()
            .flat_map(|(workspace, servers)| servers.keys().map(|server| (workspace.clone(), server.clone())))
            .collect();
        all.sort_unstable();
        all
    }
}

// === impl Target ===

impl Target {
    /// Whether both are the same place: what was learnt about one, and sessions with it, hold for the other. What
    /// opens a server may differ.
    pub fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http(one), Self::Http(other)) => one.url == other.url,
            (one, other) => one == other,
        }
    }
}

// === impl Source ===

impl Source {
    /// The value as it is now.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read(&self) -> Result<SmolStr, SourceError> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            Self::Environment(name) => std::env::var(name.as_str())
                .map(SmolStr::from)
                .map_err(|_| SourceError::Environment(name.clone())),
        }
    }

    /// The value as one of a header, which is kept out of `Debug` output.
    ///
    /// # Errors
    /// When it is not there, or cannot be in a header.
    pub fn read_header(&self, name: &HeaderName) -> Result<HeaderValue, SourceError> {
        let mut value =
            HeaderValue::from_str(&self.read()?).map_err(|_| SourceError::Header(name.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed(…)"),
            Self::Environment(name) => write!(f, "Environment({name})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_table_holds_at_once_for_every_clone() {
        let targets = Targets::default();
        let seen_by_a_session = targets.clone();
        let (workspace, server) =
            (WorkspaceName::new("research").unwrap(), ServerName::new("search").unwrap());
        assert_eq!(seen_by_a_session.get(&workspace, &server), None);
        let target = HttpTarget { url: Uri::from_static("http://127.0.0.1:1/mcp"), headers: Vec::new() };
        let servers = HashMap::from([(server.clone(), Target::Http(Arc::new(target)))]);
        targets.replace(Table { workspaces: HashMap::from([(workspace.clone(), servers)]) });
        assert!(seen_by_a_session.get(&workspace, &server).is_some());
        assert_eq!(targets.all(), [(workspace, server)]);
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let shown = format!("{:?}", Source::Fixed("hunter2".into()));
        assert!(!shown.contains("hunter2"));
        let name = HeaderName::from_static("authorization");
        let value = Source::Fixed("hunter2".into()).read_header(&name).unwrap();
        assert!(!format!("{value:?}").contains("hunter2"));
        let missing = Source::Environment("RINGFENCE_TEST_NOT_SET".into());
        assert!(missing.read().unwrap_err().to_string().contains("RINGFENCE_TEST_NOT_SET"));
    }
}
