//! Where the tool servers and models are, and what opens them: as the configuration has it now.
//!
//! `control` makes a [`Table`] of each configuration. A call goes where the configuration says that decided it
//! ([`Targets::of_config`]); everything else, where the one in force says ([`Targets::get`]). Both are looked at anew
//! every time, so that a change takes effect on sessions that are open.
//!
//! A reload is exact in this order: [`Targets::prepare`], then the kernel, then [`Targets::switch`]. No call is ever
//! cleared whose targets are not there.

mod model;
mod source;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, Uri};
use ringfence_sandbox::{LayerName, Root};
use ringfence_types::{Digest, ModelName, ServerName, WorkspaceName};

use crate::egress::world::World;
pub use crate::llm::provider::{
    FailureSaid, Part, Recorder, Recording, RecordingError, ResultWhen, Script, ScriptAnswer, ScriptRule,
    ScriptWhen, Speech, Stop, UsageSaid,
};
pub use model::{CacheBounds, CacheRules, HttpProvider, ModelTarget, Provider, RouteRule, RouteWhen, Served};
pub use source::{Source, SourceError};

/// Tables of other configurations that are kept: a call that was cleared looks its target up at once, so that even
/// reloads in quick succession leave it its own.
const OTHERS_MAX: usize = 4;

/// The targets as they are now. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<ArcSwap<Tables>>);

/// The table in force, and those of other configurations, the newest last.
#[derive(Debug, Clone, Default)]
struct Tables {
    in_force: Arc<Kept>,
    others: Vec<Arc<Kept>>,
}

/// A table and the configuration that it belongs to; without one it holds for every call.
#[derive(Debug, Default)]
struct Kept {
    config: Option<Digest>,
    table: Table,
}

/// All tool servers of all workspaces.
#[derive(Debug, Default)]
pub struct Table {
    /// The servers of each workspace, by name.
    pub workspaces: HashMap<WorkspaceName, HashMap<ServerName, Target>>,
    /// The models of each workspace, by name.
    pub models: HashMap<WorkspaceName, HashMap<ModelName, Arc<ModelTarget>>>,
    /// How much of what models answer may be kept.
    pub cache: CacheBounds,
    /// Where names lead for what leaves sandboxes, and whom hosts may be vouched for by.
    pub world: Arc<World>,
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
    /// Layers of the sandbox without which it is not started.
    pub require: Vec<LayerName>,
    /// The sandbox of its own, if it has one; else it sees the machine's files, but for some, and its network.
    pub sandbox: Option<Box<Sandboxed>>,
}

/// What a stdio server has in a sandbox of its own. What it reaches, the kernel's setup says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandboxed {
    /// The files it sees.
    pub root: Root,
    /// What it may use.
    pub limits: ringfence_sandbox::Limits,
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

// === impl Targets ===

impl Targets {
    /// These targets, whatever the configuration.
    pub fn new(table: Table) -> Self {
        let targets = Self::default();
        targets.replace(table);
        targets
    }

    /// The targets of a configuration.
    pub fn of(config: Digest, table: Table) -> Self {
        let targets = Self::default();
        targets.prepare(config, table);
        targets.switch(config);
        targets
    }

    /// Puts other targets in their place, for everything from now on, whatever the configuration.
    pub fn replace(&self, table: Table) {
        let in_force = Arc::new(Kept { config: None, table });
        self.0.store(Arc::new(Tables { in_force, others: Vec::new() }));
    }

    /// Has the targets of a configuration ready for the calls that it decides. Those of the same configuration are
    /// replaced: a secret that they hold may be another.
    pub fn prepare(&self, config: Digest, table: Table) {
        let kept = Arc::new(Kept { config: Some(config), table });
        self.0.rcu(|tables| {
            let mut tables = Tables::clone(tables);
            if tables.in_force.config == Some(config) {
                tables.in_force = Arc::clone(&kept);
            } else {
                tables.keep(&kept);
            }
            tables
        });
    }

    /// Puts the targets of a configuration that were prepared into force. Those before stay, for the calls that are
    /// cleared already.
    pub fn switch(&self, config: Digest) {
        self.0.rcu(|tables| {
            let mut tables = Tables::clone(tables);
            if let Some(at) = tables.others.iter().position(|kept| kept.config == Some(config)) {
                let next = tables.others.remove(at);
                let before = std::mem::replace(&mut tables.in_force, next);
                tables.keep(&before);
            }
            tables
        });
    }

    /// The target of a server, as it is now.
    pub fn get(&self, workspace: &WorkspaceName, server: &ServerName) -> Option<Target> {
        self.0.load().in_force.target(workspace, server)
    }

    /// The target of a server as the configuration has it that decided a call: the digest is its clearance's. `None`
    /// where that configuration has no such server, or is not known any more; never another one's.
    pub fn of_config(
        &self,
        config: Digest,
        workspace: &WorkspaceName,
        server: &ServerName,
    ) -> Option<Target> {
        let tables = self.0.load();
        tables.of(config)?.target(workspace, server)
    }

    /// A model, as it is now.
    pub fn model(&self, workspace: &WorkspaceName, model: &ModelName) -> Option<Arc<ModelTarget>> {
        self.0.load().in_force.model(workspace, model)
    }

    /// A model as the configuration has it that decided a call. As [`Targets::of_config`].
    pub fn model_of_config(
        &self,
        config: Digest,
        workspace: &WorkspaceName,
        model: &ModelName,
    ) -> Option<Arc<ModelTarget>> {
        let tables = self.0.load();
        tables.of(config)?.model(workspace, model)
    }

    /// The world outside as the configuration has it that decided a call. One of which nothing is said where that
    /// configuration is not known any more.
    pub fn world_of_config(&self, config: Digest) -> Arc<World> {
        self.0.load().of(config).map(|kept| Arc::clone(&kept.table.world)).unwrap_or_default()
    }

    /// How much of what models answer may be kept, as it is now.
    pub fn cache_bounds(&self) -> CacheBounds {
        self.0.load().in_force.table.cache
    }

    /// The servers of a workspace, by name.
    pub fn servers(&self, workspace: &WorkspaceName) -> Vec<ServerName> {
        let tables = self.0.load();
        let mut names: Vec<_> = tables
            .in_force
            .table
            .workspaces
            .get(workspace)
            .into_iter()
            .flat_map(HashMap::keys)
            .cloned()
            .collect();
        names.sort_unstable();
        names
    }

    /// Every server of every workspace.
    pub fn all(&self) -> Vec<(WorkspaceName, ServerName)> {
        let tables = self.0.load();
        let mut all: Vec<_> = tables
            .in_force
            .table
            .workspaces
            .iter()
            .flat_map(|(workspace, servers)| servers.keys().map(|server| (workspace.clone(), server.clone())))
            .collect();
        all.sort_unstable();
        all
    }
}

// === impl Tables ===

impl Tables {
    /// The table of a configuration.
    fn of(&self, config: Digest) -> Option<&Arc<Kept>> {
        let mut all = std::iter::once(&self.in_force).chain(self.others.iter().rev());
        all.find(|kept| kept.config.is_none_or(|own| own == config))
    }

    /// Keeps a table beside the one in force, in the place of an older one of the same configuration.
    fn keep(&mut self, kept: &Arc<Kept>) {
        self.others.retain(|other| other.config.is_some() && other.config != kept.config);
        self.others.push(Arc::clone(kept));
        if self.others.len() > OTHERS_MAX {
            self.others.remove(0);
        }
    }
}

// === impl Kept ===

impl Kept {
    fn target(&self, workspace: &WorkspaceName, server: &ServerName) -> Option<Target> {
        self.table.workspaces.get(workspace)?.get(server).cloned()
    }

    fn model(&self, workspace: &WorkspaceName, model: &ModelName) -> Option<Arc<ModelTarget>> {
        self.table.models.get(workspace)?.get(model).cloned()
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

#[cfg(test)]
mod tests {
    use ringfence_types::HostName;

    use super::*;
    use crate::{Lead, LeadName, Leads, Trusted};

    fn names() -> (WorkspaceName, ServerName) {
        (WorkspaceName::new("research").unwrap(), ServerName::new("search").unwrap())
    }

    /// A table that says where the server is.
    fn at(url: &'static str) -> Table {
        let (workspace, server) = names();
        let target = HttpTarget { url: Uri::from_static(url), headers: Vec::new() };
        let servers = HashMap::from([(server, Target::Http(Arc::new(target)))]);
        Table { workspaces: HashMap::from([(workspace, servers)]), ..Table::default() }
    }

    fn place(target: Option<Target>) -> String {
        match target {
            Some(Target::Http(target)) => target.url.to_string(),
            _ => "nowhere".to_owned(),
        }
    }

    const OLD: &str = "http://127.0.0.1:1/old";
    const NEW: &str = "http://127.0.0.1:1/new";

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn a_replaced_table_holds_at_once_for_every_clone() {
        let targets = Targets::default();
        let seen_by_a_session = targets.clone();
        let (workspace, server) = names();
        assert_eq!(seen_by_a_session.get(&workspace, &server), None);
        targets.replace(at(OLD));
        assert_eq!(place(seen_by_a_session.get(&workspace, &server)), OLD);
        assert_eq!(targets.all(), [(workspace, server)]);
    }

    #[test]
    fn a_call_goes_where_the_configuration_says_that_decided_it() {
        let targets = Targets::of(digest("old"), at(OLD));
        let (workspace, server) = names();
        let now = || place(targets.get(&workspace, &server));
        let of = |config: &str| place(targets.of_config(digest(config), &workspace, &server));
        assert_eq!((now(), of("old"), of("new")), (OLD.into(), OLD.into(), "nowhere".into()));
        targets.prepare(digest("new"), at(NEW));
        assert_eq!((now(), of("old"), of("new")), (OLD.into(), OLD.into(), NEW.into()));
        targets.switch(digest("new"));
        assert_eq!((now(), of("old"), of("new")), (NEW.into(), OLD.into(), NEW.into()));
        targets.prepare(digest("old"), Table::default());
        targets.switch(digest("old"));
        assert_eq!((now(), of("old"), of("new")), ("nowhere".into(), "nowhere".into(), NEW.into()));
    }

    #[test]
    fn the_world_outside_is_that_of_the_configuration_that_decided_and_else_one_of_which_nothing_is_said() {
        let world = |address: &str| {
            let mut leads = Leads::default();
            leads.add(LeadName::parse("git.corp").unwrap(), Lead::Fixed(vec![address.parse().unwrap()]));
            Table { world: Arc::new(World::new(leads, Trusted::default())), ..Table::default() }
        };
        let targets = Targets::of(digest("old"), world("10.0.0.1"));
        targets.prepare(digest("new"), world("10.0.0.2"));
        targets.switch(digest("new"));
        let led = |config: &str| {
            let world = targets.world_of_config(digest(config));
            world.leads().of(&HostName::new("git.corp").unwrap()).cloned()
        };
        let to = |address: &str| Some(Lead::Fixed(vec![address.parse().unwrap()]));
        assert_eq!((led("old"), led("new"), led("unheard of")), (to("10.0.0.1"), to("10.0.0.2"), None));
    }

    #[test]
    fn a_secret_that_changed_holds_without_another_configuration() {
        let targets = Targets::of(digest("old"), at(OLD));
        let (workspace, server) = names();
        targets.prepare(digest("old"), at(NEW));
        assert_eq!(place(targets.get(&workspace, &server)), NEW);
        assert_eq!(place(targets.of_config(digest("old"), &workspace, &server)), NEW);
    }

    #[test]
    fn a_configuration_that_never_came_into_force_changes_nothing_and_few_are_kept() {
        let targets = Targets::of(digest("old"), at(OLD));
        let (workspace, server) = names();
        for refused in 0..=OTHERS_MAX {
            targets.prepare(digest(&refused.to_string()), at(NEW));
        }
        targets.switch(digest("unheard of"));
        assert_eq!(place(targets.get(&workspace, &server)), OLD);
        assert_eq!(place(targets.of_config(digest("old"), &workspace, &server)), OLD);
        assert_eq!(targets.of_config(digest("0"), &workspace, &server), None);
        assert!(targets.of_config(digest("1"), &workspace, &server).is_some());
    }
}
