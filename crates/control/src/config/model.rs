//! What users write in `ringfence.yaml`, read and checked, before anything is made of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringfence_document::Place;
use ringfence_policy::Language;
use ringfence_prices::Table;
use ringfence_sandbox::LayerName;
use ringfence_types::{
    ActionType, AgentName, Budget, Digest, ModelName, OrganizationName, PersonName, Role, ServerName,
    ToolName, WorkspaceName,
};
use smol_str::SmolStr;

use super::{
    BudgetsConfig, CacheConfig, EnvironmentsConfig, LoopsConfig, ModelConfig, MountConfig, OutsideConfig,
    RunBudgetConfig, RunConfig, SandboxLimits, SecretSource, ServerUrl,
};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whom the node works for.
    pub organization: OrganizationName,
    /// How long a call waits for a person before its agent is told to come back.
    pub approval_wait: Duration,
    /// The operators' side, in the order of the file.
    pub people: Vec<PersonConfig>,
    /// In the order of the file.
    pub workspaces: Vec<WorkspaceConfig>,
    /// Files with prices, in the order of the file: the first that knows a model counts.
    pub prices: Vec<PricesFile>,
    /// How much of what models answer may be kept.
    pub cache: CacheConfig,
    /// Where packages come from, and how their environments are built and kept.
    pub environments: EnvironmentsConfig,
    /// What sandboxes find in the world outside.
    pub egress: OutsideConfig,
}

/// One of the people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonConfig {
    /// Who.
    pub name: PersonName,
    /// What they may do, and names that rules use.
    pub roles: Vec<Role>,
    /// SHA-256 of their token.
    pub token_hash: Option<Digest>,
    /// Their user on this machine, for the socket.
    pub uid: Option<u32>,
}

/// One workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceConfig {
    /// Which.
    pub name: WorkspaceName,
    /// `production`, `staging`, …
    pub environment: SmolStr,
    /// When tool definitions are pinned.
    pub trust: TrustConfig,
    /// How long payloads are kept.
    pub retention: Duration,
    /// The tool servers, in the order of the file.
    pub servers: Vec<ServerConfig>,
    /// The models, in the order of the file.
    // INVARIANT: no two have one name.
    pub models: Vec<ModelConfig>,
    /// What all of it together may use up, one for each window.
    pub budget: Vec<Budget>,
    /// What each agent, user and conversation may use up.
    pub budgets: BudgetsConfig,
    /// The agents, in the order of the file.
    pub agents: Vec<AgentConfig>,
    /// Its rules.
    pub policy: Vec<PolicyFile>,
    /// Layers without which nothing is started for it.
    pub require: Vec<LayerName>,
    /// How many of its runs may have a place at once, if that is written.
    pub runs_at_once: Option<usize>,
}

/// When tool definitions are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustConfig {
    /// When a person says so.
    Explicit,
    /// When the node first sees them.
    FirstUse,
}

/// One tool server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Which.
    pub name: ServerName,
    /// How it is reached.
    pub transport: Transport,
    /// What it is for, in the policy's words.
    pub capability: Option<SmolStr>,
    /// Whether its `readOnlyHint`s are believed without a person.
    pub trust_hints: bool,
    /// Its tools in the policy's words.
    pub actions: Vec<ActionConfig>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Failures in a row that open its breaker.
    pub breaker_failures: u32,
    /// How long the breaker stays open.
    pub breaker_open_for: Duration,
    /// Layers without which it is not started, those of its workspace included.
    pub require: Vec<LayerName>,
}

/// How a tool server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Http {
        /// Where.
        url: ServerUrl,
        /// What every request carries besides.
        headers: Vec<(SmolStr, SecretSource)>,
        /// What every request carries as `Authorization: Bearer`.
        bearer: Option<SecretSource>,
    },
    /// A program that speaks over its standard input and output.
    Stdio {
        /// The program and its arguments.
        command: Vec<String>,
        /// What its environment holds besides the minimum.
        environment: Vec<(SmolStr, EnvironmentValue)>,
        /// Where it starts.
        directory: Option<PathBuf>,
        /// Who shares one process.
        share: Share,
        /// The sandbox of its own, if it has one.
        sandbox: Option<ServerSandbox>,
    },
}

/// What a tool server has in a sandbox of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSandbox {
    /// What it sees of the machine's files beside programs and libraries.
    pub mounts: Vec<MountConfig>,
    /// The hosts it may reach: `host[:port][ METHOD /path…]`.
    pub egress: Vec<String>,
    /// What it may use of the machine.
    pub limits: SandboxLimits,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentValue {
    /// Written in the file: no secret.
    Plain(SmolStr),
    /// Kept elsewhere.
    Secret(SecretSource),
}

/// Who shares one process of a stdio server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Nobody: each run has its own.
    Run,
    /// All runs of the workspace.
    Workspace,
}

/// One tool in the policy's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionConfig {
    /// The tool, by its server's name for it.
    pub tool: ToolName,
    /// Instead of its name.
    pub action: Option<SmolStr>,
    /// Instead of what its definition hints at.
    pub action_type: Option<ActionType>,
    /// `low`, `high`, …
    pub risk: Option<SmolStr>,
    /// Any words.
    pub labels: Vec<SmolStr>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// Which.
    pub name: AgentName,
    /// What it holds: `server/tool` with globs in the tool's part.
    pub grants: Vec<String>,
    /// The models it holds.
    pub models: Vec<ModelName>,
    /// The hosts it may reach: `host[:port][ METHOD /path…]`.
    pub egress: Vec<String>,
    /// The agents of which its runs may start runs.
    pub spawn: Vec<AgentName>,
    /// Tools that providers host and that it may have models use, by the providers' names for them.
    pub hosted_tools: Vec<SmolStr>,
    /// Whether it may have providers keep requests and answers, and refer to them.
    pub stored: bool,
    /// Whether it may have providers fetch what a request only gives the address of.
    pub remote: bool,
    /// What each of its runs may spend.
    pub budget: RunBudgetConfig,
    /// The bounds of each of its runs.
    pub limits: LimitsConfig,
    /// The program that is started as it, if there is one.
    pub run: Option<RunConfig>,
}

/// Bounds of one run; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    /// From its first action to its end.
    pub wall: Option<Duration>,
    /// Actions under way at once.
    pub concurrent: Option<u32>,
    /// How often the same may happen again without progress.
    pub repetition: Option<u32>,
    /// Actions in total; `budget: { actions: … }`.
    pub actions: Option<u64>,
    /// Model calls in total.
    pub model_calls: Option<u32>,
    /// What ends a run that goes round in circles.
    pub loops: LoopsConfig,
    /// What one that is started here may use of the machine.
    pub sandbox: SandboxLimits,
}

/// A file with prices, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricesFile {
    /// Where it is; relative ones from the folder of the configuration file.
    pub path: PathBuf,
    /// The path as it is written.
    pub shown: SmolStr,
    /// What it says.
    pub table: Arc<Table>,
}

/// A file with rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Where it is; relative ones from the folder of the configuration file.
    pub path: PathBuf,
    /// The path as it is written.
    pub shown: SmolStr,
    /// What it is written in.
    pub language: Language,
    /// Where the configuration names it.
    pub place: Place,
}

// === impl LimitsConfig ===

impl Default for LimitsConfig {
    /// What holds where nothing is written: five minutes, 16 at once, five repetitions, any number of actions, 200 model
    /// calls.
    fn default() -> Self {
        Self {
            wall: Some(Duration::from_mins(5)),
            concurrent: Some(16),
            repetition: Some(5),
            actions: None,
            model_calls: Some(200),
            loops: LoopsConfig::default(),
            sandbox: SandboxLimits::default(),
        }
    }
}

// === impl Config ===

impl Config {
    /// The workspace of that name.
    pub fn workspace(&self, name: &str) -> Option<&WorkspaceConfig> {
        self.workspaces.iter().find(|workspace| workspace.name.as_str() == name)
    }
}

// === impl ServerConfig ===

impl ServerConfig {
    /// The sandbox of its own, if it is started here and has one.
    pub fn sandbox(&self) -> Option<&ServerSandbox> {
        match &self.transport {
            Transport::Stdio { sandbox, .. } => sandbox.as_ref(),
            Transport::Http { .. } => None,
        }
    }
}

// === impl WorkspaceConfig ===

impl WorkspaceConfig {
    /// The model of that name.
    pub fn model(&self, name: &str) -> Option<&ModelConfig> {
        self.models.iter().find(|model| model.name.as_str() == name)
    }
}
