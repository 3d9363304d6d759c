//! Values with places.

use std::fmt;

use smol_str::SmolStr;

/// Where something stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// From 1; 0 means the text as a whole.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// How many characters on that line belong to it; at least 1.
    pub width: u32,
}

/// A value and its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands; of a mapping or sequence, where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A text, as written.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text.
    // INVARIANT: no two keys are equal; the parser refuses duplicates.
    Mapping(Vec<(Key, Node)>),
}

/// A text, as written.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text without quotes, escapes resolved.
    pub text: SmolStr,
    /// Whether it stands without quotes, so that it can also be a number, a truth value or nothing.
    pub plain: bool,
}

/// The key of a mapping.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// The text without quotes.
    pub text: SmolStr,
}

// === impl Place ===

impl Place {
    /// The text as a whole.
    pub const WHOLE: Self = Self { line: 0, column: 0, width: 1 };

    /// A place inside a scalar on one line: `offset` characters after its beginning.
    #[must_use]
    pub fn shifted(self, offset: u32) -> Self {
        Self { line: self.line, column: self.column.saturating_add(offset), width: 1 }
    }
}

// === impl Node ===

impl Node {
    /// Whether nothing was written: an empty plain scalar, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.is_null())
    }

    /// The scalar, if this is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.content {
            Content::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members, if this is a mapping.
    pub fn as_mapping(&self) -> Option<&[(Key, Node)]> {
        match &self.content {
            Content::Mapping(members) => Some(members),
            _ => None,
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// One value, or each of a list.
    pub fn one_or_many(&self) -> &[Node] {
        match &self.content {
            Content::Sequence(elements) => elements,
            _ => std::slice::from_ref(self),
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(scalar) if scalar.is_null() => "nothing",
            Content::Scalar(_) => "a text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

// === impl Scalar ===

impl Scalar {
    /// Whether nothing was written: empty, `~` or `null`, without quotes (YAML 1.2.2 §10.3.2).
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The truth value, if this is one: `true` or `false` without quotes.
    pub fn as_bool(&self) -> Option<bool> {
        match (self.plain, self.text.as_str()) {
            (true, "true") => Some(true),
            (true, "false") => Some(false),
            _ => None,
        }
    }
}

// Contents may be secret: shapes only.

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} at {}:{})", self.kind(), self.place.line, self.place.column)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Sequence(elements) => write!(f, "Sequence({} elements)", elements.len()),
            Self::Mapping(members) => write!(f, "Mapping({} members)", members.len()),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({} bytes)", self.text.len())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes at {}:{})", self.text.len(), self.place.line, self.place.column)
    }
}
