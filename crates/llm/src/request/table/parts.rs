//! Parts of content that several tables have.

use super::Rule::{Cache, CacheTime, ImageUrl, Needs, Plain, Typed};
use super::{Field, Mark, Need, Rule, Types, Unlisted, Untyped, field, variant};

/// OpenAI's mark up to which to cache.
pub(super) const BREAKPOINT: Field =
    field("prompt_cache_breakpoint", Cache(&[field("mode", Plain), field("ttl", CacheTime)]));

const FILE: Need = Need::Unbounded("a file can come to more tokens than it has bytes");

/// What content consists of in the responses API, sent or sent back.
pub(super) const CONTENT: Rule = Typed(&Types {
    untyped: Untyped::Refused,
    unlisted: Unlisted::Unknown,
    variants: &[
        variant("input_text", Mark::Text, &[field("text", Plain), BREAKPOINT]),
        variant(
            "output_text",
            Mark::Text,
            &[field("text", Plain), field("annotations", Plain), field("logprobs", Plain)],
        ),
        variant("refusal", Mark::Text, &[field("refusal", Plain)]),
        variant(
            "input_image",
            Mark::Image,
            &[
                field("image_url", ImageUrl),
                field("file_id", Needs(Need::Stored)),
                field("detail", Plain),
                BREAKPOINT,
            ],
        ),
        variant(
            "input_file",
            Mark::Document,
            &[
                field("file_url", Needs(Need::Remote)),
                field("file_id", Needs(Need::Stored)),
                field("file_data", Needs(FILE)),
                field("filename", Plain),
                field("detail", Plain),
                BREAKPOINT,
            ],
        ),
        variant(
            "input_audio",
            Mark::Needs(Need::Unbounded("audio has tokens and prices of its own")),
            &[field("input_audio", Plain)],
        ),
    ],
});
