//! What goes out to a provider, made header by header: nothing that an agent sent in a header is passed on, least of all
//! its token, but for what Anthropic's clients say of the API they mean.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use ringfence_llm::{Api, Family};
use smol_str::SmolStr;

use super::call::Said;
use crate::targets::{HttpProvider, SourceError};

const PRODUCT: &str = concat!("ringfence/", env!("CARGO_PKG_VERSION"));
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The version of Anthropic's API that is spoken, whatever a client names: there is no other.
const VERSION_SPOKEN: &str = "2023-06-01";

/// Lets a model read a million tokens: only for one whose price is known that far.
const LONG_CONTEXT: &str = "context-1m";
const LONG_CONTEXT_TOKENS: u64 = 1_000_000;

/// What is switched on by a header and changes neither what a request may cost beyond its price nor who acts: names
/// without their dates (Anthropic, "Beta headers", November 2026). Others are left out.
const BETAS: &[&str] = &[
    "claude-code",
    "effort",
    "extended-cache-ttl",
    "fine-grained-tool-streaming",
    "interleaved-thinking",
    "output-128k",
    "prompt-caching",
    "prompt-caching-scope",
    "structured-outputs",
    "token-counting",
    "token-efficient-tools",
    "tool-examples",
];

/// A request to a provider, ready to be sent as often as it takes.
#[derive(Clone)]
pub(crate) struct Outgoing {
    /// The API that it speaks.
    pub(crate) api: Api,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether a stream was asked for.
    pub(crate) streams: bool,
    /// Whether what the model writes cannot be seen while it writes it: the answer comes in one piece, or the model thinks.
    pub(crate) is_blind: bool,
    /// What stands in it that nobody may see.
    pub(crate) secrets: Vec<SmolStr>,
}

/// How a request is meant.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) streams: bool,
    /// See [`Outgoing::is_blind`].
    pub(crate) is_blind: bool,
    /// The model may read [`LONG_CONTEXT_TOKENS`].
    pub(crate) reads_long: bool,
}

// === impl Manner ===

impl Manner {
    /// How a call of a model is meant that reads at most `context` tokens. One that thinks, or answers in one piece, writes
    /// what nobody sees meanwhile.
    pub(crate) fn of(streams: bool, thinks: bool, context: Option<u64>) -> Self {
        let reads_long = context.is_some_and(|context| context >= LONG_CONTEXT_TOKENS);
        Self { streams, is_blind: !streams || thinks, reads_long }
    }
}

/// A request that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutgoingError {
    /// What opens the provider is missing.
    #[error("what opens the model's provider is missing: {0}")]
    Source(#[from] SourceError),
    /// The address cannot be used.
    #[error("the address of the model's provider cannot be used")]
    Address,
}

// === impl Outgoing ===

impl Outgoing {
    pub(crate) fn make(
        provider: &HttpProvider,
        api: Api,
        said: &Said,
        body: Bytes,
        manner: Manner,
    ) -> Result<Self, OutgoingError> {
        let uri = address(&provider.base, api)?;
        let mut headers = HeaderMap::with_capacity(8);
        let mut secrets = Vec::new();
        for (name, source) in &provider.headers {
            let value = source.read()?;
            secrets.push(bare(name, &value));
            headers.insert(name.clone(), source.read_header(name)?);
        }
        let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        headers.insert(HOST, host.ok_or(OutgoingError::Address)?);
        headers.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if manner.streams { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if api.family() == Family::Anthropic {
            anthropic(&mut headers, said, manner);
        }
        let Manner { streams, is_blind, .. } = manner;
        Ok(Self { api, uri, headers, body, streams, is_blind, secrets })
    }

    /// A request that leaves no machine: whoever answers it is here.
    pub(crate) fn local(api: Api, body: Bytes, manner: Manner) -> Self {
        let (uri, headers, secrets) = (Uri::default(), HeaderMap::new(), Vec::new());
        Self { api, uri, headers, body, streams: manner.streams, is_blind: manner.is_blind, secrets }
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A secret without the word before it.
fn bare(name: &HeaderName, value: &str) -> SmolStr {
    let value = if *name == AUTHORIZATION { value.rsplit(' ').next().unwrap_or(value) } else { value };
    value.into()
}

fn anthropic(headers: &mut HeaderMap, said: &Said, manner: Manner) {
    headers.insert(VERSION, HeaderValue::from_static(VERSION_SPOKEN));
    let fits = |beta: &&str| {
        BETAS.iter().any(|known| is_of(beta, known)) || (manner.reads_long && is_of(beta, LONG_CONTEXT))
    };
    let known: Vec<&str> = said.betas.iter().map(SmolStr::as_str).filter(fits).collect();
    if let Ok(value) = HeaderValue::from_str(&known.join(","))
        && !known.is_empty()
    {
        headers.insert(BETA, value);
    }
}

/// Whether a beta is this one, with a date.
fn is_of(beta: &str, known: &str) -> bool {
    let is_date =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    beta.strip_prefix(known).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_date)
}

/// The address of an API below a base.
fn address(base: &Uri, api: Api) -> Result<Uri, OutgoingError> {
    let mut parts = base.clone().into_parts();
    let below = parts.path_and_query.as_ref().map_or("", http::uri::PathAndQuery::as_str);
    let (path, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
    let mut whole = format!("{}{}", path.trim_end_matches('/'), api.path());
    if let Some(query) = query {
        whole.push('?');
        whole.push_str(query);
    }
    parts.path_and_query = Some(whole.parse().map_err(|_| OutgoingError::Address)?);
    Uri::from_parts(parts).map_err(|_| OutgoingError::Address)
}

#[cfg(test)]
mod tests {
    use crate::targets::Source;

    use super::*;

    #[test]
    fn paths_are_added_to_the_base() {
        for (base, api, expected) in [
            ("https://api.openai.com/v1", Api::Chat, "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/", Api::Embeddings, "https://api.openai.com/v1/embeddings"),
            ("http://127.0.0.1:8000", Api::Chat, "http://127.0.0.1:8000/chat/completions"),
            (
                "https://x.test/v1?api-version=1",
                Api::Chat,
                "https://x.test/v1/chat/completions?api-version=1",
            ),
            ("https://api.anthropic.com", Api::Messages, "https://api.anthropic.com/v1/messages"),
        ] {
            assert_eq!(address(&base.parse().unwrap(), api).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn nothing_of_the_agents_headers_goes_out_but_known_betas() {
        let provider = HttpProvider {
            family: Family::Anthropic,
            base: Uri::from_static("https://api.anthropic.com"),
            headers: vec![(HeaderName::from_static("x-api-key"), Source::Fixed("sk-secret-123".into()))],
            is_makers: false,
        };
        let said = Said {
            betas: ["claude-code-20250219", "web-fetch-2025-09-10", "context-1m-2025-08-07", "effort-x"]
                .map(SmolStr::new)
                .to_vec(),
            ..Said::default()
        };
        let outgoing =
            Outgoing::make(&provider, Api::Messages, &said, Bytes::new(), Manner::default()).unwrap();
        let header = |name: &str| outgoing.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("anthropic-beta"), Some("claude-code-20250219"));
        assert_eq!(header("anthropic-version"), Some(VERSION_SPOKEN));
        assert_eq!(header("x-api-key"), Some("sk-secret-123"));
        assert_eq!(outgoing.secrets, ["sk-secret-123"]);
        assert_eq!(header("host"), Some("api.anthropic.com"));
        assert!(!format!("{:?}", outgoing.headers).contains("secret"));
    }
}
