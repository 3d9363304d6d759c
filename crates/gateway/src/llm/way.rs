//! The way to a provider: sent, and sent again where the provider turned it down and nothing was begun.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response};
use ringfence_llm::Family;
use ringfence_llm::error::{ERROR_BYTES_MAX, Passed, Retry, from_upstream};
use tokio::time::{Instant, sleep, timeout_at};

use super::flight::{End, Flight};
use super::outgoing::Outgoing;
use super::provider::{self, Body};
use crate::http::wires::WireError;
use crate::targets::Served;

/// How long the rest of an error may take.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// How a request was turned down.
pub(crate) struct Down {
    pub(crate) end: End,
    /// What the provider said, for the agent.
    pub(crate) passed: Option<Passed>,
}

/// What became of one try.
enum Tried {
    Arrived(Response<Body>),
    Down {
        down: Down,
        /// Whether and when to try again.
        again: Retry,
    },
}

/// Sends a request until the provider answers it, as often as the configuration has it. `estimate`: about how many
/// tokens it reads.
pub(crate) async fn send(
    flight: &Flight,
    served: &Served,
    outgoing: &Outgoing,
    estimate: u64,
) -> Result<Response<Body>, Down> {
    let mut tries = 0;
    loop {
        let meter = flight.clearance().meter();
        meter.sent(estimate);
        if outgoing.is_blind {
            meter.blind();
        }
        let tried = attempt(flight, served, outgoing, estimate).await?;
        let (down, again) = match tried {
            Tried::Arrived(response) => return Ok(response),
            Tried::Down { down, again } => (down, again),
        };
        if !down.end.is_free() {
            // Whoever gave up may have been answered behind it, and charged.
            return Err(down);
        }
        meter.turned_down();
        if !again.safe || tries >= served.retries {
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
    let first = Instant::now() + served.first_token;
    let until = if outgoing.streams { flight.deadline().min(first) } else { flight.deadline() };
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
            Ok(Tried::Arrived(response))
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
        Ok(Err(WireError::Unreachable)) => {
            Ok(Tried::Down { down: End::Unreachable.into(), again: Retry { safe: true, after: None } })
        }
        Ok(Err(WireError::Broken)) => Err(End::Broken.into()),
        Ok(Err(WireError::Malformed)) => Err(End::Malformed("it is not HTTP".into()).into()),
    }
}

fn turned_down(family: Family, status: u16, said: &[u8], headers: &HeaderMap, outgoing: &Outgoing) -> Tried {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let secrets: Vec<&[u8]> = outgoing.secrets.iter().map(|secret| secret.as_bytes()).collect();
    let passed = from_upstream(family, status, said, header, &secrets);
    let again = passed.retry;
    let by_provider = ringfence_json::parse(said, &ringfence_json::Limits::default())
        .is_ok_and(|said| said.get("error").is_some_and(|error| !error.is_null()));
    Tried::Down { down: Down { end: End::TurnedDown { status, by_provider }, passed: Some(passed) }, again }
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
        Self { end, passed: None }
    }
}
