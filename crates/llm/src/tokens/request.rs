//! What a request can be counted as at most.

use super::Tokenizer;
use crate::Family;

/// The parts of a request that the provider counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Bytes of all texts that the model may get to see: messages, names, tools with their schemas, formats. The length of
    /// the whole body without its images is a safe choice.
    pub text_bytes: u64,
    /// Messages or items, the system's included.
    pub messages: u64,
    /// Images.
    pub images: u64,
    /// Tokens of one image, at most: [`image_upper`] where the model is not known better.
    pub image_tokens: u64,
    /// Tools described in the request.
    pub tools: u64,
    /// Tools that the provider describes itself, such as Anthropic's `bash` and OpenAI's `web_search`.
    pub provider_tools: u64,
}

/// What a provider adds to a request, in tokens.
struct Added {
    request: u64,
    message: u64,
    /// Once, when there are tools.
    tools: u64,
    tool: u64,
    provider_tool: u64,
}

// OpenAI's cookbook ("How to count tokens with tiktoken") has 3 tokens a message, 1 for a name, 3 for the answer's start,
// and up to 12 to frame tools and 7 for each. Newer models frame a message with 5 and have a system message of their own
// with the date and the channels, which open models count (about 80). Each is doubled at least.
const OPENAI: Added = Added { request: 160, message: 10, tools: 96, tool: 16, provider_tool: 2_048 };

// Anthropic's documentation ("Tool use", "Pricing") has 159 to 530 tokens of a system prompt for tools up to Claude 4.6 and
// more since, 245 for `bash`, 700 for the text editor, 735 for computer use and 499 of a system prompt for it. A message's
// frame is not documented: the counting endpoint shows 3 to 4.
const ANTHROPIC: Added = Added { request: 64, message: 10, tools: 1_536, tool: 64, provider_tool: 2_048 };

/// The most tokens that a request can be counted as: one for each byte of text, and what the provider adds.
///
/// It holds for what is sent inline. What a provider fetches or remembers (URLs, files, earlier answers) and what hosted
/// tools read is not in it.
pub fn request_upper(family: Family, tokenizer: Tokenizer, shape: &Shape) -> u64 {
    let added = match family {
        Family::OpenAi => OPENAI,
        Family::Anthropic => ANTHROPIC,
    };
    let some_tools = u64::from(shape.tools > 0 || shape.provider_tools > 0);
    [
        tokenizer.upper_bound_bytes(shape.text_bytes),
        added.request,
        shape.messages.saturating_mul(added.message),
        shape.images.saturating_mul(shape.image_tokens),
        added.tools * some_tools,
        shape.tools.saturating_mul(added.tool),
        shape.provider_tools.saturating_mul(added.provider_tool),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// The most tokens that an image is counted as by any model of this family.
///
/// OpenAI ("Images and vision"): a base and so much for each of at most 8 tiles of 512 pixels; the dearest is GPT-4o mini
/// with 2,833 and 5,667. Anthropic ("Vision"): a token for 750 pixels, at most 4,784 where high resolution is supported.
pub fn image_upper(family: Family) -> u64 {
    match family {
        Family::OpenAi => 2_833 + 8 * 5_667,
        Family::Anthropic => 4_784,
    }
}
