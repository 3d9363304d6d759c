//! A session that was recorded: one line of JSON for each exchange.
//!
//! | member | |
//! |---|---|
//! | `api`, `model`, `stream`, `request` | what was asked, by which it is found again; without what no answer depends on |
//! | `status`, `headers` | what came back, with the headers that a client or the node looks at |
//! | `body`, or `base64` | its bytes, as a text where they are one |
//! | `pieces` | how long the pieces were in which they came |
//! | `broken` | the connection broke after them |

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_llm::error::{self, Kind};
use ringfence_llm::{Api, request};
use ringfence_types::Digest;

use super::body::{Body, Local};
use crate::llm::call::Call;
use crate::targets::Served;

/// Bytes of one recording; one that is answered from is in memory.
pub(super) const RECORDING_BYTES_MAX: u64 = 64 << 20;

/// Bytes of one exchange in it.
pub(super) const EXCHANGE_BYTES_MAX: usize = 16 << 20;

/// Values of one exchange.
const EXCHANGE_VALUES_MAX: usize = 1_000_000;

/// Headers of an answer that are kept: what a client or the node looks at, and what finds a call again.
pub(super) static KEPT: [HeaderName; 8] = [
    CONTENT_TYPE,
    http::header::CONTENT_ENCODING,
    http::header::RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("openai-processing-ms"),
];

/// A recorded session, to answer from.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    digest: Digest,
    /// What was answered to each request, in the order of the recording.
    found: HashMap<Digest, Take>,
}

/// The answers to one request.
#[derive(Debug, Default)]
struct Take {
    answers: Vec<Answer>,
    /// The next of them; after the last one, the last again.
    next: AtomicUsize,
}

/// What came back.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) pieces: Vec<Bytes>,
    pub(super) broken: bool,
}

/// What was asked.
pub(super) struct Question {
    pub(super) api: Api,
    pub(super) model: String,
    pub(super) stream: bool,
    /// Without what no answer depends on.
    pub(super) request: Object,
}

/// A recording that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read or written.
    #[error("the recording {path} cannot be used: {cause}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// There is none.
    #[error(
        "there is no recording {path}; to make it, set `record: true` with the provider's `base_url` and `key`, and make \
         the calls once"
    )]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// It is more than the bound.
    #[error(
        "the recording {path} has more than {RECORDING_BYTES_MAX} bytes; split it, one file for each model"
    )]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// A line is no exchange.
    #[error("{path}:{line}: {what}; take the line out, or record the session again")]
    Line {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

// === impl Recording ===

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let bytes = contents(path)?;
        let mut found: HashMap<Digest, Take> = HashMap::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (question, answer) = read(line).map_err(|what| RecordingError::Line {
                path: path.to_owned(),
                line: at + 1,
                what,
            })?;
            found.entry(question.key()).or_default().answers.push(answer);
        }
        Ok(Self { path: path.to_owned(), digest: Digest::of(&bytes), found })
    }

    /// What was answered to this call.
    pub(super) fn answer(&self, call: &Call, served: &Served) -> Response<Body> {
        let question = Question::of(call, served);
        match question.as_ref().and_then(|question| self.found.get(&question.key())).and_then(Take::next) {
            Some(answer) => answer.respond(),
            None => unknown(call, question.is_some_and(|question| question.stream)),
        }
    }
}

impl PartialEq for Recording {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.digest) == (&other.path, other.digest)
    }
}

impl Eq for Recording {}

fn contents(path: &Path) -> Result<Vec<u8>, RecordingError> {
    let failed = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::NotFound => RecordingError::Missing { path: path.to_owned() },
        _ => RecordingError::Io { path: path.to_owned(), cause },
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    // Not while an exchange is being written.
    file.lock_shared().map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(RECORDING_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > RECORDING_BYTES_MAX) {
        return Err(RecordingError::TooLarge { path: path.to_owned() });
    }
    // What has no end was never written whole.
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(end);
    Ok(bytes)
}

/// The answer to a request that was not recorded.
fn unknown(call: &Call, stream: bool) -> Response<Body> {
    let how = if stream { ", streamed" } else { "" };
    let message = format!(
        "this request is not in the recording of this model ({}{how}): to record it, set `record: true` with the \
         provider's `base_url` and `key`, make the call once, and take `record` away again",
        call.api.word()
    );
    let body = error::body(call.family(), Kind::NotFound, "not_recorded", &message, None, None);
    let mut response = Response::new(Body::Local(Local::whole(Value::Object(body).to_bytes())));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

// === impl Take ===

impl Take {
    fn next(&self) -> Option<&Answer> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        self.answers.get(at).or(self.answers.last())
    }
}

// === impl Question ===

impl Question {
    /// What a client asks; `None` where it cannot be read. The client's own request, because what becomes of it on the
    /// way depends on budgets and on versions of this program.
    pub(super) fn of(call: &Call, served: &Served) -> Option<Self> {
        let limits = Limits { bytes: call.request.len(), ..call.gate.limits.model_json() };
        let request = parse(&call.request, &limits).ok()?.into_object()?;
        let stream = request.get("stream").and_then(Value::as_bool).unwrap_or(false);
        Some(Self {
            api: call.api,
            model: served.model.to_string(),
            stream,
            request: plain(call.api, &request)?,
        })
    }

    /// By this it is found.
    pub(super) fn key(&self) -> Digest {
        let mut key = format!("{}\n{}\n", self.model, self.stream).into_bytes();
        key.extend_from_slice(&request::canonical_for_cache(self.api, &self.request));
        Digest::of(&key)
    }
}

/// A request without what no answer depends on.
fn plain(api: Api, request: &Object) -> Option<Object> {
    let canonical = request::canonical_for_cache(api, request);
    let at = canonical.iter().position(|byte| *byte == b'\n')?;
    let text = &canonical[at + 1..];
    let limits = Limits { bytes: text.len(), depth: 512, values: text.len(), ..Limits::default() };
    parse(text, &limits).ok()?.into_object()
}

// === impl Answer ===

impl Answer {
    fn respond(&self) -> Response<Body> {
        let local = Local::pieces(self.pieces.iter().cloned());
        let mut response = Response::new(Body::Local(if self.broken { local.broken() } else { local }));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

impl std::fmt::Debug for Answer {
    /// Never what was answered.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} pieces)", self.status, self.pieces.len())
    }
}

/// The line of an exchange.
pub(super) fn write(question: &Question, answer: &Answer) -> Vec<u8> {
    let headers: Object = answer
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().into(), Value::from(value.to_str().ok()?))))
        .collect();
    let bytes = answer.pieces.concat();
    let (member, body) = match String::from_utf8(bytes) {
        Ok(text) => ("body", text),
        Err(error) => ("base64", STANDARD.encode(error.as_bytes())),
    };
    let lengths = answer.pieces.iter().map(|piece| u64::try_from(piece.len()).unwrap_or(u64::MAX));
    let line = Object::new()
        .with("api", question.api.word())
        .with("model", question.model.as_str())
        .with("stream", question.stream)
        .with("request", question.request.clone())
        .with("status", u64::from(answer.status.as_u16()))
        .with("headers", headers)
        .with(member, body)
        .with("pieces", lengths.collect::<Vec<_>>())
        .with_some("broken", answer.broken.then_some(true));
    let mut line = Value::Object(line).to_bytes();
    line.push(b'\n');
    line
}

/// An exchange, or what is wrong with it.
fn read(line: &[u8]) -> Result<(Question, Answer), String> {
    let limits =
        Limits { bytes: EXCHANGE_BYTES_MAX, depth: 512, values: EXCHANGE_VALUES_MAX, ..Limits::default() };
    let line = parse(line, &limits).map_err(|error| format!("it is not JSON: {error}"))?;
    let line = line.into_object().ok_or("it is not a JSON object")?;
    let need = |name: &'static str| line.get(name).ok_or_else(|| format!("`{name}` is missing"));
    let text = |name| need(name)?.as_str().ok_or_else(|| format!("`{name}` has to be a text"));
    let word = text("api")?;
    let api = Api::ALL.into_iter().find(|api| api.word() == word).ok_or("`api` is not known")?;
    let question = Question {
        api,
        model: text("model")?.to_owned(),
        stream: need("stream")?.as_bool().ok_or("`stream` has to be true or false")?,
        request: need("request")?.as_object().ok_or("`request` has to be an object")?.clone(),
    };
    let status = need("status")?.as_u64().and_then(|status| u16::try_from(status).ok());
    let status =
        status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or("`status` is none of HTTP's")?;
    let headers = need("headers")?.as_object().ok_or("`headers` has to be an object")?;
    let body: Bytes = match line.get("base64").and_then(Value::as_str) {
        Some(packed) => STANDARD.decode(packed).map_err(|_| "`base64` is not base64")?.into(),
        None => text("body")?.to_owned().into(),
    };
    let answer = Answer {
        status,
        headers: read_headers(headers)?,
        pieces: read_pieces(&body, need("pieces")?).ok_or("`pieces` are not the lengths of its pieces")?,
        broken: line.get("broken").and_then(Value::as_bool).unwrap_or(false),
    };
    Ok((question, answer))
}

fn read_headers(headers: &Object) -> Result<HeaderMap, String> {
    let mut read = HeaderMap::new();
    for (name, value) in headers.iter() {
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        // Others would be nobody's that was recorded here.
        let name = KEPT.iter().find(|kept| kept.as_str() == name.as_str());
        let (Some(name), Some(value)) = (name, value) else {
            return Err("`headers` has one that is not recorded".to_owned());
        };
        read.insert(name.clone(), value);
    }
    Ok(read)
}

fn read_pieces(body: &Bytes, lengths: &Value) -> Option<Vec<Bytes>> {
    let mut rest = body.clone();
    let mut pieces = Vec::new();
    for length in lengths.as_array()? {
        let length = usize::try_from(length.as_u64()?).ok().filter(|length| *length <= rest.len())?;
        pieces.push(rest.split_to(length));
    }
    rest.is_empty().then_some(pieces)
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
