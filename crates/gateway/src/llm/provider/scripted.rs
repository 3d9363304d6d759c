//! Answers out of a script, in the words of whichever API is called.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_llm::error::{self, Kind};
use ringfence_llm::render::{Heard, Part, Said, Stop, embeddings};
use ringfence_llm::{Api, Family};
use ringfence_types::{Digest, Usage};
use tokio::time::sleep;

use super::body::{Body, Local};
use super::script::{FailureSaid, Script, ScriptAnswer, Speech};
use crate::llm::flight::Flight;
use crate::llm::outgoing::Outgoing;
use crate::llm::whole::now_seconds;
use crate::targets::Served;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Digits of a digest that make an id.
const ID_DIGITS: usize = 24;

/// Answers a request.
pub(super) async fn answer(
    script: &Script,
    flight: &Flight,
    served: &Served,
    outgoing: &Outgoing,
    estimate: u64,
) -> Response<Body> {
    let api = outgoing.api;
    let heard = Heard::read(api, &request(&outgoing.body));
    let chosen = script.answer(flight.call.run.id, api, &heard);
    // What is only counted costs nothing, so nothing was estimated for it.
    let text = std::str::from_utf8(&outgoing.body).unwrap_or_default();
    let estimate = if api == Api::CountTokens { served.tokenizer.count(text) } else { estimate };
    let asked = Asked { api, heard, id: id(&outgoing.body), served, estimate };
    match (chosen, api) {
        (Some(ScriptAnswer::Failure(failure)), _) => {
            sleep(failure.delay).await;
            asked.failed(failure)
        }
        (Some(ScriptAnswer::Speech(speech)), _) => {
            sleep(speech.delay).await;
            asked.spoken(speech)
        }
        // What is only counted or embedded needs no rule.
        (None, Api::Embeddings | Api::CountTokens) => asked.spoken(&Speech::default()),
        (None, _) => asked.unheard(),
    }
}

/// The body that was just written.
fn request(body: &[u8]) -> Object {
    let limits = Limits { bytes: body.len(), depth: 512, values: body.len(), ..Limits::default() };
    parse(body, &limits).ok().and_then(Value::into_object).unwrap_or_default()
}

/// The same for the same request.
fn id(body: &[u8]) -> String {
    let mut id = Digest::of(body).to_string();
    id.truncate(ID_DIGITS);
    id
}

/// One request.
struct Asked<'a> {
    api: Api,
    heard: Heard,
    id: String,
    served: &'a Served,
    /// About how many tokens it reads.
    estimate: u64,
}

// === impl Asked ===

impl Asked<'_> {
    fn spoken(&self, speech: &Speech) -> Response<Body> {
        let mut body = match self.api {
            Api::Embeddings => {
                let read = speech.usage.of(&self.counted()).input_total();
                piecemeal(&embeddings(&self.heard, read), speech)
            }
            api if api.generates() && self.heard.stream => {
                let stream = self.said(speech).stream(api, speech.chunks, self.heard.tell_usage);
                cut(stream, speech.cut_after.map(|pieces| pieces.saturating_add(1)))
            }
            api => piecemeal(&self.said(speech).whole(api), speech),
        };
        body = body.begins_after(speech.first);
        let streams = self.api.generates() && self.heard.stream;
        if streams {
            body = body.with_pause(speech.pause);
        }
        let media = if streams { "text/event-stream; charset=utf-8" } else { "application/json" };
        self.respond(StatusCode::OK, media, body)
    }

    fn said(&self, speech: &Speech) -> Said {
        let calls = speech.parts.iter().any(|part| matches!(part, Part::Call { .. }));
        let told = if calls { Stop::Tools } else { Stop::End };
        let tokenizer = self.served.tokenizer;
        let mut said = Said {
            id: self.id.as_str().into(),
            created: now_seconds(),
            model: self.heard.model.as_str().into(),
            parts: speech.parts.clone(),
            stop: speech.stop.unwrap_or(told),
            usage: self.counted(),
            answers: if self.api == Api::Chat { self.heard.answers } else { 1 },
        };
        if let Some(limit) = self.heard.limit.filter(|_| !speech.unlimited) {
            said.limit(limit, tokenizer);
        }
        said.count(self.api, tokenizer);
        said.usage = speech.usage.of(&said.usage);
        said
    }

    /// What the request comes to.
    fn counted(&self) -> Usage {
        Usage { input: self.estimate, ..Usage::default() }
    }

    fn failed(&self, failure: &FailureSaid) -> Response<Body> {
        let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = failure.message.as_deref().unwrap_or("The script says that this call fails.");
        let mut response = self.refuse(status, kind(failure.status), message);
        if let Some(seconds) = failure.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// No rule fits.
    fn unheard(&self) -> Response<Body> {
        let heard = &self.heard;
        let results = if heard.results.is_empty() { "without" } else { "with" };
        let message = format!(
            "no rule of the script of this model fits the call: turn {}, {results} results of tools, by {}; add a rule \
             to the script, or one without `when` at its end",
            heard.turn,
            self.api.word()
        );
        self.refuse(StatusCode::NOT_FOUND, Kind::NotFound, &message)
    }

    fn refuse(&self, status: StatusCode, kind: Kind, message: &str) -> Response<Body> {
        let (family, code) = (self.api.family(), code(kind));
        let body = error::body(family, kind, code, message, None, None);
        let body = Local::whole(Value::Object(body).to_bytes());
        self.respond(status, "application/json", body)
    }

    fn respond(&self, status: StatusCode, media: &'static str, body: Local) -> Response<Body> {
        let mut response = Response::new(Body::Local(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        let name = match self.api.family() {
            Family::OpenAi => REQUEST_ID,
            Family::Anthropic => HeaderName::from_static("request-id"),
        };
        if let Ok(id) = HeaderValue::from_str(&format!("req_{}", self.id)) {
            headers.insert(name, id);
        }
        response
    }
}

/// A whole answer; where it breaks off, half of it.
fn piecemeal(answer: &Object, speech: &Speech) -> Local {
    let bytes = Bytes::from(Value::Object(answer.clone()).to_bytes());
    match speech.cut_after {
        None => Local::whole(bytes),
        Some(_) => Local::whole(bytes.slice(..bytes.len() / 2)).broken(),
    }
}

/// The first of the pieces, and then no more.
fn cut(mut pieces: Vec<Bytes>, after: Option<usize>) -> Local {
    match after {
        Some(after) if after < pieces.len() => {
            pieces.truncate(after);
            Local::pieces(pieces).broken()
        }
        _ => Local::pieces(pieces),
    }
}

fn kind(status: u16) -> Kind {
    match status {
        401 => Kind::Authentication,
        402 => Kind::Billing,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        413 => Kind::TooLarge,
        429 => Kind::RateLimit,
        503 | 529 => Kind::Overloaded,
        400..=499 => Kind::Request,
        _ => Kind::Server,
    }
}

fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::NotFound => "not_in_script",
        Kind::RateLimit => "rate_limit_exceeded",
        _ => "scripted_failure",
    }
}
