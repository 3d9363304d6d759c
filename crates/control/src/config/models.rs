//! What users write about models: who serves them, what they cost, where their calls go.

use std::path::PathBuf;
use std::time::Duration;

use ringfence_document::Place;
use ringfence_prices::Tokenizer;
use ringfence_types::{ModelName, Price};
use smol_str::SmolStr;

use super::{SecretSource, ServerUrl};

/// One model of a workspace. It is served by somebody, or is the name of a route, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    /// As agents call it.
    pub name: ModelName,
    /// Who serves it; `None` for a named route.
    pub served: Option<Box<ServedConfig>>,
    /// Where its calls go instead, the first rule that fits; in the order of the file.
    // INVARIANT: every name in it is a model of the workspace, and following them ends.
    pub route: Vec<RouteConfig>,
    /// Where the file says so.
    pub place: Place,
}

/// A model that somebody serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedConfig {
    /// Who.
    pub provider: ProviderConfig,
    /// Where the file names the script or the recording that answers, if one does.
    pub answers: Option<Place>,
    /// The provider's name for it.
    pub model: SmolStr,
    /// What it costs.
    pub price: Price,
    /// Whether request fields that are not known are let through.
    pub pass_unknown: bool,
    /// Tokens that an answer may have where the request does not say.
    pub max_output: u64,
    /// The least that a request's own limit is lowered to. At most [`ServedConfig::max_output`].
    pub floor: u64,
    /// Tokens that it can write at most, where that is known.
    pub output_most: Option<u64>,
    /// Tokens that it can read at most, where that is known.
    pub context: Option<u64>,
    /// Tokens that one image comes to at most, where that is known.
    pub image_tokens: Option<u64>,
    /// How it splits text.
    pub tokenizer: Tokenizer,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long its first token may take. At most [`ServedConfig::timeout`].
    pub first_token: Duration,
    /// Calls under way at once.
    pub concurrent: u32,
    /// How often a call is tried again.
    pub retries: u32,
    /// Models that are tried instead when it fails, in this order.
    // INVARIANT: each is a served model of the workspace, and following them ends.
    pub failover: Vec<ModelName>,
    /// Failures in a row that open its breaker.
    pub breaker_failures: u32,
    /// How long the breaker stays open.
    pub breaker_open_for: Duration,
    /// Whether and how long answers are kept for calls that ask the same.
    pub cache: Option<ResponseCacheConfig>,
}

/// Who serves a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderConfig {
    /// OpenAI, or whoever speaks as it does.
    OpenAi(EndpointConfig),
    /// Anthropic, or whoever speaks as it does.
    Anthropic(EndpointConfig),
    /// Nobody: answers stand in a file.
    Scripted {
        /// The file.
        script: PathBuf,
    },
    /// Nobody, once a real session was recorded.
    Replay {
        /// The file.
        recording: PathBuf,
        /// What the recorded provider speaks.
        api: ModelApi,
        /// The provider whose answers are recorded now.
        record: Option<EndpointConfig>,
    },
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelApi {
    /// As OpenAI does.
    OpenAi,
    /// As Anthropic does.
    Anthropic,
}

/// Where a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// What paths are added to.
    pub base_url: ServerUrl,
    /// What every request carries besides.
    pub headers: Vec<(SmolStr, SecretSource)>,
    /// What every request carries as the provider wants it.
    pub key: Option<SecretSource>,
}

/// One rule of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// What has to hold of a call, all of it; nothing holds of every call.
    pub when: RouteWhen,
    /// Where it then goes.
    pub to: ModelName,
    /// Where the file says so.
    pub place: Place,
}

/// What has to hold of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteWhen {
    /// It reads fewer tokens than this.
    pub input_below: Option<u64>,
    /// It reads more tokens than this.
    pub input_above: Option<u64>,
    /// It gives the model tools, or gives it none.
    pub tools: Option<bool>,
    /// It has images, or has none.
    pub images: Option<bool>,
    /// It has all of these labels.
    pub labels: Vec<SmolStr>,
    /// Of some budget above it less than so many hundredths are left.
    pub budget_below_percent: Option<u8>,
}

/// How much of what models answer may be kept, of all workspaces together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes on the disk.
    pub disk: u64,
}

/// How answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseCacheConfig {
    /// For how long.
    pub ttl: Duration,
    /// Also those to requests that give the model tools.
    pub tools: bool,
}

// === impl ModelConfig ===

impl ModelConfig {
    /// Every model that a call to this one may end at, this one aside.
    pub fn leads_to(&self) -> impl Iterator<Item = &ModelName> {
        let failover = self.served.iter().flat_map(|served| &served.failover);
        self.route.iter().map(|rule| &rule.to).chain(failover)
    }
}

// === impl ProviderConfig ===

impl ProviderConfig {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::OpenAi(_) => "openai",
            Self::Anthropic(_) => "anthropic",
            Self::Scripted { .. } => "scripted",
            Self::Replay { .. } => "replay",
        }
    }

    /// Where it is, if it is anywhere.
    pub fn endpoint(&self) -> Option<&EndpointConfig> {
        match self {
            Self::OpenAi(endpoint) | Self::Anthropic(endpoint) => Some(endpoint),
            Self::Replay { record, .. } => record.as_ref(),
            Self::Scripted { .. } => None,
        }
    }
}

// === impl CacheConfig ===

impl Default for CacheConfig {
    /// 16 MiB and 256 MiB.
    fn default() -> Self {
        Self { memory: 16 << 20, disk: 256 << 20 }
    }
}

// === impl RouteWhen ===

impl RouteWhen {
    /// Whether it holds of every call.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}
