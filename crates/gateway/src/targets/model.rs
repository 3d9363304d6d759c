//! Where the models are, what opens them, and how they are called.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use ringfence_llm::tokens::Tokenizer;
use ringfence_llm::{Api, Family};
use ringfence_types::ModelName;
use smol_str::SmolStr;

use super::Source;
use crate::llm::provider::{Recorder, Recording, Script};

/// One model of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelTarget {
    /// Who serves it; `None` for the name of a route.
    pub served: Option<Served>,
    /// Where its calls go instead: the first rule that fits.
    pub route: Vec<RouteRule>,
}

/// A model that somebody serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Who.
    pub provider: Provider,
    /// The provider's name for it.
    pub model: SmolStr,
    /// Request fields that are not known go on.
    pub pass_unknown: bool,
    /// Tokens that an answer may have where the request does not say.
    pub max_output: u64,
    /// Tokens that it can write at most, where that is known.
    pub output_most: Option<u64>,
    /// Tokens that it can read at most, where that is known.
    pub context: Option<u64>,
    /// Tokens that one image comes to at most, where that is known.
    pub image_tokens: Option<u64>,
    /// How it splits text.
    pub tokenizer: Tokenizer,
    /// How long it may take to the first byte of its answer.
    pub first_token: Duration,
    /// Calls under way at once; more wait for a moment.
    pub concurrent: usize,
    /// How often a call is tried again that the provider turned down.
    pub retries: u32,
    /// Models that are tried instead when it fails, in this order.
    pub failover: Vec<ModelName>,
    /// Whether answers are kept for calls that ask the same.
    pub cache: Option<CacheRules>,
}

/// How answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRules {
    /// For how long.
    pub ttl: Duration,
    /// Also those to requests that give the model tools.
    pub tools: bool,
}

/// How much of what models answer may be kept, for all workspaces together; unless said, nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheBounds {
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes on the disk; none keeps nothing there.
    pub disk: u64,
}

/// Who serves a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Somebody who speaks HTTP.
    Http(HttpProvider),
    /// Nobody: answers stand in a script.
    Scripted(Arc<Script>),
    /// Somebody who speaks HTTP and whose answers are recorded.
    Recorded(HttpProvider, Arc<Recorder>),
    /// Nobody any more: somebody's answers were recorded.
    Replayed(Family, Arc<Recording>),
}

/// Somebody who speaks one of the known APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProvider {
    /// Whose API.
    pub family: Family,
    /// What the paths of the API are added to.
    pub base: Uri,
    /// Headers that every request gets: what authenticates the node there. Never anything of the agent's.
    pub headers: Vec<(HeaderName, Source)>,
    /// Whether it is the maker of the API itself, OpenAI or Anthropic, and nobody who is compatible with it.
    pub is_makers: bool,
}

/// One rule of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRule {
    /// What has to hold of a call, all of it.
    pub when: RouteWhen,
    /// Where it then goes.
    pub to: ModelName,
}

/// What has to hold of a call; what is `None` or empty holds of every one.
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

// === impl Provider ===

impl Provider {
    /// Whose API it speaks to a call of `api`: a script speaks each.
    pub fn family_for(&self, api: Api) -> Family {
        match self {
            Self::Http(provider) | Self::Recorded(provider, _) => provider.family,
            Self::Scripted(_) => api.family(),
            Self::Replayed(family, _) => *family,
        }
    }

    /// Where requests go over HTTP, if they do.
    pub fn http(&self) -> Option<&HttpProvider> {
        match self {
            Self::Http(provider) | Self::Recorded(provider, _) => Some(provider),
            Self::Scripted(_) | Self::Replayed(..) => None,
        }
    }
}
