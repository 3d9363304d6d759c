//! What is known of a model, and whose it is.

use std::fmt;
use std::str::FromStr;

use ringfence_types::Price;

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// What it costs, who says so and since when.
    pub price: Price,
    /// Tokens that it reads in one call, at most.
    pub context: Option<u64>,
    /// Tokens that it writes in one call, at most.
    pub max_output: Option<u64>,
    /// How it splits text, where that is public.
    pub tokenizer: Option<Tokenizer>,
    /// Tokens that one image is counted as, at most.
    pub image_tokens: Option<u64>,
}

/// How a model splits text into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// `o200k_base`.
    O200k,
    /// `cl100k_base`.
    Cl100k,
    /// Not known: a token is at least one byte.
    Bytes,
}

/// The word names no tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no tokenizer of that name: o200k, cl100k or bytes")]
pub struct UnknownTokenizer;

/// Who makes models and sells calls to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vendor {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google, by its address for OpenAI's clients.
    Google,
    /// Mistral.
    Mistral,
    /// DeepSeek.
    DeepSeek,
    /// xAI.
    Xai,
}

// === impl Tokenizer ===

impl Tokenizer {
    /// The words, for messages.
    pub const WORDS: [&str; 3] = ["o200k", "cl100k", "bytes"];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::O200k => "o200k",
            Self::Cl100k => "cl100k",
            Self::Bytes => "bytes",
        }
    }
}

impl FromStr for Tokenizer {
    type Err = UnknownTokenizer;

    fn from_str(text: &str) -> Result<Self, UnknownTokenizer> {
        [Self::O200k, Self::Cl100k, Self::Bytes]
            .into_iter()
            .find(|tokenizer| tokenizer.as_str() == text)
            .ok_or(UnknownTokenizer)
    }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Vendor ===

impl Vendor {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 6] =
        [Self::OpenAi, Self::Anthropic, Self::Google, Self::Mistral, Self::DeepSeek, Self::Xai];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
            Self::Mistral => "mistral",
            Self::DeepSeek => "deepseek",
            Self::Xai => "xai",
        }
    }

    /// The host at which the shipped prices hold.
    pub fn host(self) -> &'static str {
        match self {
            Self::OpenAi => "api.openai.com",
            Self::Anthropic => "api.anthropic.com",
            Self::Google => "generativelanguage.googleapis.com",
            Self::Mistral => "api.mistral.ai",
            Self::DeepSeek => "api.deepseek.com",
            Self::Xai => "api.x.ai",
        }
    }

    /// Whose host that is.
    pub fn of_host(host: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.host().eq_ignore_ascii_case(host))
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
