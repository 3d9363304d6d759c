//! The grammar in which the tables below say what requests consist of.

mod anthropic_blocks;
mod anthropic_tools;
mod chat;
mod embeddings;
mod messages;
mod openai_items;
mod openai_tools;
mod parts;
mod responses;

use crate::Api;

/// A member of an object, and what it does.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
}

/// What a value may be, and what it does to price and input.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Anything. It counts by its length and does nothing else.
    Plain,
    /// Looked at by name, with its type, in `read.rs`.
    Read,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An object with these members.
    Object(&'static [Field]),
    /// A list of such values.
    List(&'static Rule),
    /// A text, or such a value.
    TextOr(&'static Rule),
    /// An object whose `type` says what it is.
    Typed(&'static Types),
    /// The provider does more with it than answer. Absent when `null`, `false` or an empty list.
    Needs(Need),
    /// An image: inline as a `data:` URL, or remote.
    ImageUrl,
    /// An inline image in base64.
    ImageData,
    /// An inline document that is no text, in base64.
    DocumentData,
    /// A mark up to which the provider is to cache, an object with these members.
    Cache(&'static [Field]),
    /// How long the provider is to cache.
    CacheTime,
}

/// What has to be configured for something to go on.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// `stored: true`, because the provider is to keep the conversation.
    Kept,
    /// `stored: true`, because the model reads what the provider keeps.
    Stored,
    /// `remote: true`
    Remote,
    /// `remote: true`, for an image, which comes to no more tokens than one that is sent.
    RemoteImage,
    /// The name in `hosted_tools`.
    Hosted(&'static str),
    /// `pass_unknown: true`, because nothing bounds what it costs, for this reason.
    Unbounded(&'static str),
}

/// Objects told apart by their `type`.
pub(super) struct Types {
    /// What is meant where there is no `type`.
    pub(super) untyped: Untyped,
    /// What to do about a `type` that is not listed.
    pub(super) unlisted: Unlisted,
    /// In the order in which they are looked for.
    pub(super) variants: &'static [Variant],
}

/// What an object without a `type` is.
#[derive(Clone, Copy)]
pub(super) enum Untyped {
    /// Nothing that is allowed.
    Refused,
    /// An object of this type.
    Means(&'static str),
    /// An input item: a message where there is a `role`, else a reference to a stored item.
    Item,
}

/// What an object of a type is that is not listed.
#[derive(Clone, Copy)]
pub(super) enum Unlisted {
    /// Unknown, as a field is.
    Unknown,
    /// A tool that the provider may host: it takes its type's name in `hosted_tools`.
    Hosted,
}

/// One type of object.
pub(super) struct Variant {
    /// Its `type`; a star at the end stands for a date of eight digits.
    pub(super) name: &'static str,
    pub(super) mark: Mark,
    pub(super) fields: &'static [Field],
}

/// What an object means as a whole.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// Nothing more.
    Text,
    /// One image.
    Image,
    /// One document.
    Document,
    /// What it holds may come to more tokens than it has bytes.
    Opaque,
    /// Without this member it stands for what the provider keeps, where it keeps anything.
    Reference(&'static str),
    /// A tool that runs at the client, named by the member to which these names lead; as many tools as these the
    /// provider describes to the model by itself.
    Tool(&'static [&'static str], u64),
    /// Only with this.
    Needs(Need),
}

/// A member of an object.
pub(super) const fn field(name: &'static str, rule: Rule) -> Field {
    Field { name, rule }
}

/// A type of object.
pub(super) const fn variant(name: &'static str, mark: Mark, fields: &'static [Field]) -> Variant {
    Variant { name, mark, fields }
}

/// The members of a request.
pub(super) fn fields(api: Api) -> &'static [Field] {
    match api {
        Api::Chat => chat::FIELDS,
        Api::Responses => responses::FIELDS,
        Api::Embeddings => embeddings::FIELDS,
        Api::Messages => messages::FIELDS,
        Api::CountTokens => messages::COUNT_FIELDS,
    }
}

// === impl Types ===

impl Types {
    /// What is known about a type.
    pub(super) fn find(&self, name: &str) -> Option<&'static Variant> {
        self.variants.iter().find(|variant| variant.is(name))
    }
}

impl Variant {
    fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            None => self.name == name,
            Some(stem) => name
                .strip_prefix(stem)
                .is_some_and(|date| date.len() == 8 && date.bytes().all(|digit| digit.is_ascii_digit())),
        }
    }
}
