//! The way to a provider: sent, and sent again where the provider turned it down and nothing was begun.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response};
use ringfence_json::Value;
use ringfence_llm::Family;
use ringfence_llm::error::{ERROR_BYTES_MAX, Passed, Retry, from_upstream, redact};
use smol_str::SmolStr;
use tokio::time::{Instant, sleep, timeout_at};

use super::flight::{End, Flight};
use super::outgoing::Outgoing;
use super::provider::{self, Body};
use crate::http::wires::WireError;
use crate::targets::Served;

/// Bytes of a provider's word for an error.
const WORD_BYTES_MAX: usize = 64;

/// How long the rest of an error may take.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// How a request was turned down.
pub(crate) struct Down {
    pub(crate) end: End,
    /// What the provider said, for the agent.
    pub(crate) passed: Option<Passed>,
    /// The same in its own words but for keys, for the record.
    pub(crate) said: Vec<u8>,
}

/// A provider's answer that has begun.
pub(crate) struct Arrived {
    pub(crate) response: Response<Body>,
    /// When its first token has to be there.
    pub(crate) first_until: Instant,
}

/// What became of one try.
enum Tried {
    Arrived(Arrived),
    Down {
        down: Down,
        /// Whether and when to try again.
        again: Retry,
    },
}

/// Sends a request until the provider answers it, as often as the configuration has it. `estimate`: about how many
/// tokens it reads. `acts`: it does more at the provider than to be answered.
pub(crate) async fn send(
    flight: &Flight,
    served: &Served,
    outgoing: &Outgoing,
    estimate: u64,
    acts: bool,
) -> Result<Arrived, Down> {
    let mut tries = 0;
    loop {
        let meter = flight.clearance().meter();
        meter.sent(estimate);
        if outgoing.is_blind {
            meter.blind();
        }
        let tried = attempt(flight, served, outgoing, estimate).await?;
        let (down, again) = match tried {
            Tried::Arrived(arrived) => return Ok(arrived),
            Tried::Down { down, again } => (down, again),
        };
        if !down.end.is_free() {
            // Whoever gave up may have been answered behind it, and charged.
            return Err(down);
        }
        meter.turned_down();
        let is_safe = again.safe && (!acts || down.end.has_done_nothing());
        if !is_safe || tries >= served.retries {
            return Err(down);
        }
        let Some(wait) = pause(flight, tries, again.after) else { return Err(down) };
        tries += 1;
        let cancel = flight.cancel();
        tokio::select! {
            biased;
            cut = cancel.cancelled() => return Err(End::Cut(cut).into()),
            () = sleep(wait) => {}
        }
    }
}

/// How long to wait before the next try; `None` when there is no time for it, or the provider wants more than is given.
fn pause(flight: &Flight, tries: u32, asked: Option<Duration>) -> Option<Duration> {
    let limits = &flight.call.gate.limits;
    let most = limits.model_retry_wait_max;
    let own = limits.model_retry_wait.saturating_mul(1 << tries.min(10)).min(most);
    // Half of it is left to chance, so that those turned down together do not come back together.
    let jittered = own / 2 + own.mul_f64(f64::from(random_byte()) / 512.0);
    let wait = asked.map_or(jittered, |asked| asked.max(jittered));
    let in_time = Instant::now() + wait < flight.deadline();
    (wait <= most && in_time).then_some(wait)
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without chance the wait is the shortest.
    let _ = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty());
    byte[0]
}

async fn attempt(
    flight: &Flight,
    served: &Served,
    outgoing: &Outgoing,
    estimate: u64,
) -> Result<Tried, Down> {
    // An answer in one piece begins when it is all there.
    let first_until = Instant::now() + served.first_token;
    let until = if outgoing.streams { flight.deadline().min(first_until) } else { flight.deadline() };
    let cancel = flight.cancel();
    let sending = provider::ask(flight, served, outgoing, estimate);
    let sent = tokio::select! {
        biased;
        cut = cancel.cancelled() => return Err(End::Cut(cut).into()),
        sent = timeout_at(until, sending) => sent,
    };
    match sent {
        Err(_) => Err(End::Timeout.into()),
        Ok(Ok(response)) if response.status().is_success() => {
            let encoded = response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
            if encoded {
                return Err(End::Malformed("it is compressed, which nobody asked for".into()).into());
            }
            Ok(Tried::Arrived(Arrived { response, first_until }))
        }
        Ok(Ok(response)) => {
            let (head, body) = response.into_parts();
            let reading = timeout_at(until.min(Instant::now() + ERROR_TIME), error_body(body));
            let said = tokio::select! {
                biased;
                cut = cancel.cancelled() => return Err(End::Cut(cut).into()),
                said = reading => said.unwrap_or_default(),
            };
            Ok(turned_down(outgoing.api.family(), head.status.as_u16(), &said, &head.headers, outgoing))
        }
        // Nothing was sent, so it can be tried again.
        Ok(Err(WireError::Unreachable(why))) => {
            let (model, host) = (flight.clearance().model(), outgoing.uri.authority());
            tracing::warn!(%model, host = host.map(tracing::field::display), %why, "a provider cannot be reached");
            Ok(Tried::Down { down: End::Unreachable(why).into(), again: Retry { safe: true, after: None } })
        }
        Ok(Err(WireError::Broken)) => Err(End::Broken.into()),
        Ok(Err(WireError::Malformed)) => Err(End::Malformed("it is not HTTP".into()).into()),
    }
}

fn turned_down(family: Family, status: u16, said: &[u8], headers: &HeaderMap, outgoing: &Outgoing) -> Tried {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let secrets: Vec<&[u8]> = outgoing.secrets.iter().map(|secret| secret.as_bytes()).collect();
    let passed = from_upstream(family, (status, outgoing.uri.path()), said, header, &secrets);
    let again = passed.retry;
    let value = ringfence_json::parse(said, &ringfence_json::Limits::default()).ok();
    let error = value.as_ref().and_then(|said| said.get("error")).filter(|error| !error.is_null());
    let end = End::TurnedDown { status, by_provider: error.is_some(), word: error.and_then(word) };
    let mut said = redact(said, &secrets).unwrap_or_else(|| said.to_vec());
    said.truncate(ERROR_BYTES_MAX);
    Tried::Down { down: Down { end, passed: Some(passed), said }, again }
}

/// A provider's own word for an error, if it is one that a program can have made: a sentence may repeat the request.
fn word(error: &Value) -> Option<SmolStr> {
    let is_word = |text: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
    };
    let words = [error.get("code"), error.get("type")].into_iter().flatten();
    words
        .filter_map(Value::as_str)
        .find(is_word)
        .filter(|word| redact(word.as_bytes(), &[]).is_none())
        .map(SmolStr::new)
}

/// A provider's error, as far as it is passed on.
async fn error_body(mut body: Body) -> Bytes {
    let mut all = BytesMut::new();
    while let Ok(Some(data)) = body.data().await {
        all.extend_from_slice(&data);
        if all.len() > ERROR_BYTES_MAX {
            break;
        }
    }
    all.freeze()
}

impl From<End> for Down {
    fn from(end: End) -> Self {
        Self { end, passed: None, said: Vec::new() }
    }
}
