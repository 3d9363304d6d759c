//! Why a request cannot go on, and where in it.

/// A request cannot go on as it is. It repeats no content of the request, only names of members, cut and cleaned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Objection {
    /// Which part, in the form that providers have for it: `messages[2].content[0].image_url.url`. Empty for the whole.
    pub param: String,
    /// What is wrong, and the way out.
    pub message: String,
    /// Of what kind it is.
    pub kind: ObjectionKind,
}

/// Why a request cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectionKind {
    /// A field, or a type of something, that is on no list.
    Unknown,
    /// A value that cannot be.
    Invalid,
    /// It uses or makes what the provider keeps.
    Stored,
    /// The provider would fetch something.
    Remote,
    /// The provider would run a tool.
    Hosted,
    /// It is known, but nothing bounds what it costs.
    Unbounded,
}

/// A place in a request, made only where somebody wants to know it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    up: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Whole,
    Name(&'a str),
    Index(usize),
}

/// The longest name of a member that is repeated, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The longest place that is told, in bytes.
const PARAM_BYTES_MAX: usize = 256;

// === impl Objection ===

impl Objection {
    pub(super) fn new(at: &At<'_>, kind: ObjectionKind, what: &str) -> Self {
        let param = at.param();
        let subject = if param.is_empty() { "the request" } else { &param };
        Self { message: format!("{subject}: {what}"), kind, param }
    }

    pub(super) fn invalid(at: &At<'_>, what: &str) -> Self {
        Self::new(at, ObjectionKind::Invalid, what)
    }
}

// === impl At ===

impl At<'static> {
    /// The request as a whole.
    pub(super) const WHOLE: Self = Self { up: None, step: Step::Whole };
}

impl<'a> At<'a> {
    /// A member of what is here.
    pub(super) fn member(&'a self, name: &'a str) -> Self {
        Self { up: Some(self), step: Step::Name(name) }
    }

    /// An element of what is here.
    pub(super) fn element(&'a self, index: usize) -> Self {
        Self { up: Some(self), step: Step::Index(index) }
    }

    /// The place, as providers write it.
    pub(super) fn param(&self) -> String {
        let mut param = String::new();
        self.write(&mut param);
        param.truncate(PARAM_BYTES_MAX);
        param
    }

    // INVARIANT: only ASCII is written, so that the text can be cut anywhere.
    fn write(&self, param: &mut String) {
        if let Some(up) = self.up {
            up.write(param);
        }
        match self.step {
            Step::Whole => {}
            Step::Index(index) => {
                param.push('[');
                param.push_str(&index.to_string());
                param.push(']');
            }
            Step::Name(name) => {
                if !param.is_empty() {
                    param.push('.');
                }
                param.push_str(&clean(name));
            }
        }
    }
}

/// A name that a stranger gave, cut, with a question mark for whatever could be taken for something else.
pub(super) fn clean(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.bytes().take(NAME_BYTES_MAX).map(|byte| if plain(byte) { char::from(byte) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_providers_tell_it() {
        let (messages, whole) = ("messages", At::WHOLE);
        let list = whole.member(messages);
        let second = list.element(2);
        assert_eq!(second.member("content").element(0).param(), "messages[2].content[0]");
        assert_eq!(whole.param(), "");
        assert_eq!(Objection::invalid(&whole, "is empty").message, "the request: is empty");
    }

    #[test]
    fn a_strange_name_is_cut_and_cleaned() {
        let name = format!("a\n\"{}é", "x".repeat(500));
        let param = At::WHOLE.member(&name).param();
        assert_eq!(param, format!("a??{}", "x".repeat(61)));
    }

    #[test]
    fn a_long_place_is_cut() {
        fn nest(depth: usize, up: &At<'_>) -> String {
            if depth == 0 { up.param() } else { nest(depth - 1, &up.member("a_name_of_some_length")) }
        }
        assert_eq!(nest(20, &At::WHOLE).len(), PARAM_BYTES_MAX);
    }
}
