//! What a request asks for, and what whoever sends it may ask for.

use ringfence_types::CacheWrite;
use smol_str::SmolStr;

use super::Trail;
use crate::Api;
use crate::tokens::Shape;

/// Hosted tools of which no API bounds how often they are used: a call with one is refused, whatever its agent holds.
pub const HOSTED_UNBOUNDED: [&str; 1] = ["code_execution"];

/// What may go on that is refused otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switches {
    /// Fields that are on no list, and what has no known bound on its cost, go on: `pass_unknown: true` of the model.
    pub pass_unknown: bool,
    /// The provider may keep conversations and be referred to what it keeps: `stored: true` of the model.
    pub stored: bool,
    /// The provider may fetch what the request names: `remote: true` of the model.
    pub remote: bool,
    /// Tools that the provider runs, by their short names: `hosted_tools: [...]` of the agent. A tool that is on no
    /// list has its `type` for a name.
    pub hosted: Vec<SmolStr>,
}

/// A tool that the provider runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// Its short name: `web_search`, `web_fetch`, `code_execution`, `code_interpreter`, `file_search`, `mcp`,
    /// `image_generation`, `computer_use`, `tool_search`, `programmatic_tool_calling`, or the `type` of one that is
    /// on no list.
    pub name: SmolStr,
    /// How often it is used at most, where the request bounds it.
    pub uses: Option<u64>,
}

/// What a model has to be able to do to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Write JSON.
    pub json: bool,
    /// Write JSON after a schema.
    pub json_schema: bool,
    /// Call tools.
    pub tools: bool,
    /// See images.
    pub images: bool,
    /// Read documents that are no plain text.
    pub documents: bool,
    /// Think first, where the request asks for it.
    pub reasoning: bool,
    /// Tell how likely tokens were.
    pub logprobs: bool,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Of which API.
    pub api: Api,
    /// The model, as the request names it.
    pub model: SmolStr,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the usage comes with the answer without anything being added to the request. Only streamed chat has to
    /// ask for it.
    pub usage_asked: bool,
    /// Tokens that each answer may have at most, as the request says.
    pub output: Option<u64>,
    /// Tokens, at most, that each answer may cost beyond that: a prediction is paid as if it were written where the
    /// answer differs.
    pub extra_output: u64,
    /// How many answers.
    pub answers: u64,
    /// The service tier, where the request names one. OpenAI's `fast` is `priority`, which is what is billed.
    /// Anthropic's fast mode is `fast` and a region for inference `geo_us` and so on; both together are
    /// `fast+geo_us`: prices are looked up by these names.
    pub tier: Option<SmolStr>,
    /// Whether it may write into the provider's cache. Always so with OpenAI, which decides that by itself.
    pub writes_cache: CacheWrite,
    /// Images in the request.
    pub images: u64,
    /// Length of inline images as sent, in bytes.
    pub image_bytes: u64,
    /// Documents in the request.
    pub documents: u64,
    /// Length of inline documents that are no text as sent, in bytes.
    pub document_bytes: u64,
    /// Length of everything else, in bytes. No tokenizer makes more tokens of it.
    pub text_bytes: u64,
    /// Tools that the provider describes to the model by itself, its hosted ones among them; a set of small ones
    /// counts as ten.
    pub provider_tools: u64,
    /// Whether the model may read more than the bytes of the request: what the provider keeps, fetches or finds, or
    /// packed documents. The only bound is what the model can read at all, once for each use of a hosted tool and
    /// once more.
    pub hidden_input: bool,
    /// Texts to embed.
    pub inputs: u64,
    /// Tools that the provider runs, each once.
    pub hosted: Vec<Hosted>,
    /// Names of tools that run at the client, in order.
    pub tools: Vec<SmolStr>,
    /// What a model has to be able to do.
    pub features: Features,
    /// Whether the provider keeps the conversation.
    pub stores: bool,
    /// Whether the provider would keep it although nobody switched that on:
    /// [`set_store_false`](super::set_store_false) has to be called.
    pub keep_out: bool,
    /// What guards against loops look at.
    pub trail: Trail,
    /// Where fields are that are on no list and go on all the same.
    pub unknown: Vec<SmolStr>,
}

// === impl Switches ===

impl Switches {
    pub(super) fn hosts(&self, name: &str) -> bool {
        self.hosted.iter().any(|held| held == name)
    }
}

// === impl Asked ===

impl Asked {
    /// What is to be counted of it, where an image comes to at most so many tokens. Where there is
    /// [hidden input](Asked::hidden_input), it is more.
    pub fn shape(&self, image_tokens: u64) -> Shape {
        Shape {
            text_bytes: self.text_bytes,
            // What the system says beside the messages is one more.
            messages: self.trail.messages.saturating_add(1),
            images: self.images,
            image_tokens,
            tools: u64::try_from(self.tools.len()).unwrap_or(u64::MAX),
            // A schema for the answer is explained to the model as a tool is.
            provider_tools: self.provider_tools.saturating_add(u64::from(self.features.json_schema)),
        }
    }
}

// === impl Features ===

impl Features {
    /// The names of those that are asked for, in the words of routing rules.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        [
            ("json", self.json),
            ("json_schema", self.json_schema),
            ("tools", self.tools),
            ("images", self.images),
            ("documents", self.documents),
            ("reasoning", self.reasoning),
            ("logprobs", self.logprobs),
        ]
        .into_iter()
        .filter_map(|(word, asked)| asked.then_some(word))
    }
}
