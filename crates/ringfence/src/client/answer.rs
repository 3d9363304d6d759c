//! What a node answers: a document, text, lines, or a problem (RFC 9457).

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use ringfence_json::{Limits, Object, Value, parse};

use crate::failure::Failure;
use crate::safe;

/// The largest answer that is read as a whole, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The longest line of a stream, in bytes.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Reads a JSON object.
pub async fn object(answer: Response<Incoming>) -> Result<Object, Failure> {
    let (status, body) = whole(answer).await?;
    if !status.is_success() {
        return Err(problem(status, &body));
    }
    parsed(&body)?.into_object().ok_or_else(|| garbled("not an object"))
}

/// Reads text.
pub async fn text(answer: Response<Incoming>) -> Result<String, Failure> {
    let (status, body) = whole(answer).await?;
    if !status.is_success() {
        return Err(problem(status, &body));
    }
    String::from_utf8(body.to_vec()).map_err(|_| garbled("not text"))
}

/// JSON lines, as they come.
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

/// Starts to read lines.
pub async fn lines(answer: Response<Incoming>) -> Result<Lines, Failure> {
    if answer.status().is_success() {
        return Ok(Lines { body: answer.into_body(), buffer: BytesMut::new() });
    }
    let (status, body) = whole(answer).await?;
    Err(problem(status, &body))
}

// === impl Lines ===

impl Lines {
    /// The next line; `None` when the node has ended the stream.
    ///
    /// # Errors
    /// When the connection breaks, or the line is not a JSON object.
    pub async fn next(&mut self) -> Result<Option<Object>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.len() > 1 {
                    return parsed(&line)?.into_object().map(Some).ok_or_else(|| garbled("not an object"));
                }
                continue;
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(garbled("a line is too long"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    return Err(Failure::unreachable(format!("the connection to the node broke: {error}")));
                }
                None => return Ok(None),
            }
        }
    }
}

/// Bytes, as they come.
pub struct Download(Incoming);

/// Starts to read bytes.
pub async fn download(answer: Response<Incoming>) -> Result<Download, Failure> {
    if answer.status().is_success() {
        return Ok(Download(answer.into_body()));
    }
    let (status, body) = whole(answer).await?;
    Err(problem(status, &body))
}

// === impl Download ===

impl Download {
    /// The next bytes; `None` when the node has sent all of them.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.0.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Failure::unreachable(format!("the answer broke off: {error}")));
                }
                None => return Ok(None),
            }
        }
    }
}

async fn whole(answer: Response<Incoming>) -> Result<(StatusCode, Bytes), Failure> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Failure::unreachable(format!("the answer broke off: {error}")))?;
    Ok((status, body.to_bytes()))
}

fn parsed(text: &[u8]) -> Result<Value, Failure> {
    let limits = Limits { bytes: ANSWER_BYTES_MAX, values: 10_000_000, ..Limits::default() };
    parse(text, &limits).map_err(|error| garbled(&error.to_string()))
}

fn garbled(what: &str) -> Failure {
    Failure::unreachable(format!("what answered is not a Ringfence node of this version: {what}"))
        .hint("check --node and RINGFENCE_NODE")
}

/// A refusal of the node, as the command's failure.
fn problem(status: StatusCode, body: &[u8]) -> Failure {
    let problem = parse(body, &Limits::default()).ok().and_then(Value::into_object).unwrap_or_default();
    let detail = problem.text("detail").or_else(|| problem.text("title"));
    let message = detail.map_or_else(|| format!("the node answered {status}"), safe);
    let failure = match status.as_u16() {
        400 | 411 | 413 | 415 | 422 => Failure::usage(message),
        _ => Failure::no(message),
    };
    failure.hint_some(problem.text("hint").map(safe))
}
