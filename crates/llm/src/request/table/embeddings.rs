//! OpenAI, embeddings. As of the SDK's version 3.54.0.

use super::Rule::{Plain, Read};
use super::{Field, field};

/// The members of a request.
pub(super) const FIELDS: &[Field] = &[
    field("model", Read),
    field("input", Read),
    field("dimensions", Plain),
    field("encoding_format", Plain),
    field("user", Plain),
];
