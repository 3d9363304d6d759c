//! One call of a model as an agent made it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use ringfence_json::Object;
use ringfence_kernel::Run;
use ringfence_llm::{Api, Family};
use ringfence_types::ConversationName;
use smol_str::SmolStr;

use crate::gate::Gate;
use crate::http::loads::Room;

/// The conversation that a call is part of, where the run's token names none.
const CONVERSATION: HeaderName = HeaderName::from_static("x-ringfence-conversation");

/// Words that rules of routes look for, with commas between.
const LABELS: HeaderName = HeaderName::from_static("x-ringfence-labels");

/// What Anthropic's clients switch on.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// One call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) gate: Arc<Gate>,
    pub(crate) run: Arc<Run>,
    pub(crate) api: Api,
    /// The body as it came.
    pub(crate) request: Bytes,
    pub(crate) said: Said,
    /// Room for the request, until its answer has ended.
    pub(crate) _room: Arc<Room>,
}

/// What the headers of a request say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) conversation: Option<ConversationName>,
    pub(crate) labels: Vec<SmolStr>,
    /// `anthropic-beta`, each.
    pub(crate) betas: Vec<SmolStr>,
}

/// A header that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaidError {
    /// Not a name, or more than one.
    #[error("the header `x-ringfence-conversation` has not the name of one conversation in it")]
    Conversation,
    /// Not words, or too many.
    #[error("the header `x-ringfence-labels` takes at most {max} words with commas between")]
    Labels {
        /// The bound.
        max: usize,
    },
}

// === impl Call ===

impl Call {
    pub(crate) fn family(&self) -> Family {
        self.api.family()
    }
}

// === impl Said ===

impl Said {
    /// Reads what the headers say.
    ///
    /// # Errors
    /// When one cannot be read: the call would count for another conversation than its agent thinks.
    pub(crate) fn read(headers: &HeaderMap, labels_max: usize) -> Result<Self, SaidError> {
        // A header may come in several lines, which are as one with commas between (RFC 9110, section 5.3).
        let lines = |name: &HeaderName| headers.get_all(name).into_iter().map(|line| line.to_str().ok());
        let mut names = lines(&CONVERSATION);
        let conversation = match (names.next(), names.next()) {
            (None, _) => None,
            (Some(name), None) => {
                let name = name.and_then(|name| ConversationName::new(name.trim()).ok());
                Some(name.ok_or(SaidError::Conversation)?)
            }
            (Some(_), Some(_)) => return Err(SaidError::Conversation),
        };
        let mut labels = Vec::new();
        for words in lines(&LABELS) {
            labels.extend(words.map(words_of).ok_or(SaidError::Labels { max: labels_max })?);
        }
        if labels.len() > labels_max {
            return Err(SaidError::Labels { max: labels_max });
        }
        let betas = headers.get_all(BETA).iter().filter_map(|value| value.to_str().ok()).flat_map(words_of);
        Ok(Self { conversation, labels, betas: betas.collect() })
    }
}

fn words_of(text: &str) -> Vec<SmolStr> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(SmolStr::new).collect()
}

/// The name of the model that a request asks for.
pub(crate) fn named(request: &Object) -> Option<&str> {
    request.text("model").filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Result<Said, SaidError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Said::read(&map, 2)
    }

    #[test]
    fn headers_say_what_a_call_belongs_to() {
        let said = read(&[
            ("x-ringfence-conversation", " c-7 "),
            ("x-ringfence-labels", "batch, night,"),
            ("anthropic-beta", "a,b"),
            ("anthropic-beta", "c"),
        ])
        .unwrap();
        assert_eq!(said.conversation.unwrap().as_str(), "c-7");
        assert_eq!(said.labels, ["batch", "night"]);
        assert_eq!(said.betas, ["a", "b", "c"]);
        assert_eq!(read(&[("x-ringfence-conversation", "")]).unwrap_err(), SaidError::Conversation);
        assert_eq!(read(&[("x-ringfence-labels", "a,b,c")]).unwrap_err(), SaidError::Labels { max: 2 });
        assert!(read(&[]).unwrap().conversation.is_none());
    }

    #[test]
    fn a_header_may_come_in_several_lines() {
        let labels = |lines: &[&'static str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-ringfence-labels", *line)).collect();
            read(&lines).map(|said| said.labels)
        };
        assert_eq!(labels(&["batch", "night"]).unwrap(), ["batch", "night"]);
        assert_eq!(labels(&["batch, night", "", "more"]).unwrap_err(), SaidError::Labels { max: 2 });
        let twice = [("x-ringfence-conversation", "one"), ("x-ringfence-conversation", "two")];
        assert_eq!(read(&twice).unwrap_err(), SaidError::Conversation, "it is in one of them");
    }
}
