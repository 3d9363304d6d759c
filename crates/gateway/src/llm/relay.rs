//! An answer that streams: metered while it passes, cut off when the money is spent or something above is suspended,
//! and always ended properly.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use ringfence_kernel::{CutOff, Lease};
use ringfence_llm::Api;
use ringfence_llm::answer::{Meter, Pass};
use ringfence_llm::error::redact;
use ringfence_llm::events::{Event, Reader};
use ringfence_llm::tokens::Tokenizer;
use ringfence_llm::translate::{ChatStream, MessagesStream};
use ringfence_types::Refusal;
use tokio::time::{Instant, timeout_at};

use super::cache::Place;
use super::executor::{EVENTS, fine, tell};
use super::flight::{End, Flight};
use super::joined::Joined;
use super::plan::Plan;
use super::provider::Body;
use super::slack::{SLACK, SLACK_SPENT};
use super::{answers, whole};
use crate::http::outbound::{self, Outbound, Piece, Sender};

/// How long a provider may leave a stream open that has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is counted after a stream was given up: so many bytes, until so many looks in a row find nothing.
const DRAIN_BYTES: usize = 4 << 20;
const DRAIN_YIELDS: usize = 3;

/// A sign of life that carries nothing.
const COMMENT: &[u8] = b": \n\n";

/// One stream on its way.
struct Stream {
    flight: Flight,
    body: Body,
    reader: Reader,
    meter: Meter,
    words: Words,
    /// Tokens that may be written, all answers together; none where nothing bounds it.
    limit: Option<u64>,
    /// Whether the provider is the maker of the API, which keeps to limits.
    is_makers: bool,
    first_until: Instant,
    /// What was given out, for the record, and how many bytes that were.
    kept: BytesMut,
    given: u64,
    /// Where it is kept for calls that ask the same.
    place: Option<Place>,
    /// The API of the client, and that of the provider.
    api: Api,
    upstream: Api,
}

/// In whose words a stream goes on.
enum Words {
    Same,
    Chat(Box<ChatStream>),
    Messages(Box<MessagesStream>),
}

/// Answers with a stream and relays what comes, in a task of its own: a client that does not read must not keep a
/// suspension from reaching the provider.
pub(crate) fn start(
    flight: Flight,
    plan: &Plan,
    response: Response<Body>,
    first_until: Instant,
) -> Response<Outbound> {
    let (head, body) = response.into_parts();
    let gate = flight.call.gate.clone();
    let operation = flight.call.api.word();
    let lease = match gate.kernel.lease_model(&flight.call.run, flight.clearance().model(), operation) {
        Ok(lease) => lease,
        Err(refusal) => {
            let family = flight.call.family();
            let cut = CutOff { code: refusal.code, reason: refusal.reason, action: None };
            return answers::refused(&gate, family, &flight.fail(&End::Cut(cut)), None);
        }
    };
    let (sender, receiver) = outbound::channel(&gate.limits, gate.limits.model_backlog_bytes);
    let response = outbound::events(receiver, lease.cancel().clone(), gate.limits.piece_bytes);
    let mut response = fine(response, EVENTS);
    tell(&mut response, &flight, plan, &head.headers);
    tokio::spawn(Stream::new(flight, plan, body, first_until).run(sender, lease));
    response
}

// === impl Stream ===

impl Stream {
    fn new(flight: Flight, plan: &Plan, body: Body, first_until: Instant) -> Self {
        let served = plan.served();
        let limits = &flight.call.gate.limits;
        let hide = plan.asked.api == Api::Chat && !plan.asked.usage_asked;
        let answers = flight.clearance().demand().answers;
        let limit = flight.clearance().output().map(|limit| limit.saturating_mul(answers));
        let name = plan.asked.model.as_str();
        let words = match (plan.is_translated(), plan.asked.api) {
            (false, _) => Words::Same,
            (true, Api::Messages) => Words::Messages(Box::new(MessagesStream::new(name))),
            (true, _) => {
                let usage = plan.asked.usage_asked;
                Words::Chat(Box::new(ChatStream::new(whole::now_seconds(), name, usage)))
            }
        };
        Self {
            reader: Reader::new(limits.model_event_bytes),
            meter: Meter::new(plan.upstream, served.tokenizer, hide && !plan.is_translated()),
            words,
            limit,
            is_makers: served.provider.http().is_some_and(|provider| provider.is_makers),
            first_until,
            kept: BytesMut::new(),
            given: 0,
            place: plan.place,
            api: plan.asked.api,
            upstream: plan.upstream,
            body,
            flight,
        }
    }

    async fn run(mut self, sender: Sender, lease: Lease) {
        let end = self.converse(&sender).await;
        match end {
            Some(Ok(())) => {}
            // What cannot be read cannot be counted.
            Some(Err(End::TooLarge | End::Malformed(_))) => self.flight.clearance().meter().blind(),
            _ => self.drain().await,
        }
        self.write_down();
        if !matches!(end, Some(Ok(()))) {
            // What there was of an answer stays on the record.
            self.flight.give(std::mem::take(&mut self.kept).into());
        }
        // The client has gone: dropping the flight settles it, dropping the body closes the way to the provider.
        let Some(end) = end else { return };
        let stall = self.flight.call.gate.limits.write_stall;
        match end {
            Ok(()) => {
                let Self { flight, meter, api, upstream, kept, place, given, .. } = self;
                let action = flight.action();
                // What was given out is kept whole, or not at all.
                if let Some(place) = place.filter(|_| kept.len() as u64 == given) {
                    flight.call.gate.keep_answer(&place, kept.clone().freeze());
                }
                flight.land(kept.to_vec());
                let instead = Box::new(move |CutOff { code, reason, .. }| {
                    last_word(&meter, upstream, api, &Refusal::new(code, action, reason))
                });
                // Held until all that was sent is given out.
                let done = sender.last(Piece::Answer(Bytes::new(), lease, instead));
                let _ = tokio::time::timeout(stall, done).await;
            }
            // The provider said so itself, and the client has heard it.
            Err(End::Failed) => drop(self.flight.fail(&End::Failed)),
            Err(end) => {
                let Self { flight, body, meter, api, upstream, .. } = self;
                drop(body);
                let last = last_word(&meter, upstream, api, &flight.fail(&end));
                if tokio::time::timeout(stall, sender.last(Piece::Last(last))).await.is_err() {
                    tracing::debug!("a client did not take the end of a stream");
                }
            }
        }
    }

    /// Relays until the stream ends; `None` when the client has gone.
    async fn converse(&mut self, sender: &Sender) -> Option<Result<(), End>> {
        let cancel = self.flight.cancel();
        let deadline = self.flight.deadline();
        let keep_alive = self.flight.call.gate.limits.keep_alive;
        // Nothing comes after the end but the end of the connection, which may be used again. Whoever hangs up then has
        // heard all of it.
        let mut farewell = None;
        loop {
            let is_over = self.meter.has_finished();
            let until = match farewell {
                _ if !self.meter.has_begun() => deadline.min(self.first_until),
                None if is_over => *farewell.insert(deadline.min(Instant::now() + FAREWELL)),
                Some(farewell) => farewell,
                None => deadline,
            };
            // However fast pieces come.
            let is_late = Instant::now() >= until;
            if is_late && !is_over {
                return Some(Err(End::Timeout));
            }
            let quiet_until = until.min(Instant::now() + keep_alive);
            let data = tokio::select! {
                biased;
                () = sender.closed(), if !is_over => return None,
                cut = cancel.cancelled() => return Some(Err(End::Cut(cut))),
                data = timeout_at(quiet_until, self.body.data()) => data,
            };
            let out = match data {
                Err(_) | Ok(Err(_)) if is_over => self.closed(),
                _ if is_late => self.closed(),
                Err(_) if Instant::now() >= until => return Some(Err(End::Timeout)),
                Err(_) if self.reader.is_between_events() => Ok((Bytes::from_static(COMMENT), None)),
                Err(_) => continue,
                Ok(Err(_)) => return Some(Err(End::Broken)),
                Ok(Ok(None)) => self.closed(),
                Ok(Ok(Some(data))) => self.take(data),
            };
            let (out, end) = match out {
                Ok(out) => out,
                Err(end) => return Some(Err(end)),
            };
            if !out.is_empty() {
                self.keep(&out);
                let sent = tokio::select! {
                    biased;
                    cut = cancel.cancelled() => return Some(Err(End::Cut(cut))),
                    sent = timeout_at(deadline, sender.event(out)) => sent,
                };
                match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) if self.meter.has_finished() => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some(Err(End::Timeout)),
                }
            }
            if let Some(end) = end {
                return Some(end);
            }
        }
    }

    /// Takes a piece of the stream: what goes on, and whether that was the end.
    fn take(&mut self, piece: Bytes) -> Result<(Bytes, Option<Result<(), End>>), End> {
        self.reader.push(piece);
        let mut out = Joined::default();
        while let Some(event) = self.reader.next_event().map_err(|_| End::TooLarge)? {
            self.pass(&event, &mut out)?;
        }
        self.write_down();
        let end = if self.is_spent() { Some(Err(End::Spent)) } else { None };
        Ok((out.into_bytes(), end))
    }

    /// Whether more was written than was paid for: by far, or by less where nobody answers for the provider and the
    /// money is gone.
    fn is_spent(&self) -> bool {
        let Some(limit) = self.limit else { return false };
        let written = self.meter.output_tokens();
        let is_for_sure = self.is_makers || self.meter.has_finished();
        SLACK.is_left_behind(written, limit)
            || (!is_for_sure
                && SLACK_SPENT.is_left_behind(written, limit)
                && self.flight.clearance().is_spent())
    }

    /// Counts what had arrived and was not read yet when the stream was given up, for instance because its client was
    /// slow: the provider charges for it. No timer is needed: the task that reads the connection runs in between.
    async fn drain(&mut self) {
        let (mut bytes, mut quiet) = (0, 0);
        while quiet < DRAIN_YIELDS {
            let data = tokio::select! {
                biased;
                data = self.body.data() => data,
                () = std::future::ready(()) => {
                    quiet += 1;
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let Ok(Some(piece)) = data else { return };
            bytes += piece.len();
            quiet = 0;
            // More than is waited for, or nothing that can be counted: all that was set aside may have been used.
            if bytes > DRAIN_BYTES || self.take(piece).is_err() {
                return self.flight.clearance().meter().blind();
            }
        }
    }

    fn pass(&mut self, event: &Event, out: &mut Joined) -> Result<(), End> {
        let malformed = |error: &dyn std::fmt::Display| End::Malformed(error.to_string());
        let pass = self.meter.event(event).map_err(|error| malformed(&error))?;
        // What a provider says of itself when it fails may hold a key.
        let redacted = match (&self.words, self.meter.has_failed()) {
            (Words::Same, _) | (_, false) => None,
            (_, true) => redact(&event.data, &[]),
        };
        let data = redacted.as_deref().unwrap_or(&event.data);
        let mut words = Vec::new();
        match &mut self.words {
            Words::Same => {
                match pass {
                    Pass::AsIs => out.push(event.raw.clone()),
                    Pass::Instead(bytes) => out.push(bytes),
                    Pass::Hidden => {}
                }
                return Ok(());
            }
            _ if event.is_empty() => return Ok(()),
            Words::Chat(stream) => {
                let name = event.name.as_deref().unwrap_or_default();
                stream.event(name, data, &mut words).map_err(|error| malformed(&error))?;
            }
            Words::Messages(stream) => {
                stream.chunk(data, &mut words).map_err(|error| malformed(&error))?;
            }
        }
        out.push(words.into());
        Ok(())
    }

    /// The provider has closed the stream.
    fn closed(&mut self) -> Result<(Bytes, Option<Result<(), End>>), End> {
        let mut out = Joined::default();
        let rest = std::mem::replace(&mut self.reader, Reader::new(0)).finish();
        if let Some(event) = rest {
            self.pass(&event, &mut out)?;
        }
        let counted = self.meter.counted();
        if counted.failed.is_some() {
            return Ok((out.into_bytes(), Some(Err(End::Failed))));
        }
        let mut words = Vec::new();
        let ended = match &mut self.words {
            Words::Same => counted.finished,
            Words::Chat(stream) => stream.end().is_ok(),
            Words::Messages(stream) => stream.is_ended() || stream.end(&mut words).is_ok(),
        };
        out.push(words.into());
        let end = if ended { Ok(()) } else { Err(End::Broken) };
        Ok((out.into_bytes(), Some(end)))
    }

    /// Writes what passed so far on the meter of the clearance.
    fn write_down(&self) {
        let counted = self.meter.counted();
        let meter = self.flight.clearance().meter();
        meter.written(self.meter.output_tokens());
        if let Some(usage) = counted.reported.filter(|_| counted.input_reported) {
            meter.reported(usage, counted.output_reported);
            let written = counted.output_tokens_counted;
            if counted.output_reported && whole::is_too_little(usage.output_total(), written) {
                meter.doubt();
            }
        }
        if let Some(tier) = counted.tier {
            meter.tier(tier);
        }
        if !counted.hosted.is_empty() {
            meter.hosted(counted.hosted);
        }
        if counted.doubtful {
            meter.doubt();
        }
    }

    fn keep(&mut self, out: &Bytes) {
        self.given += out.len() as u64;
        let room = self.flight.call.gate.limits.model_kept_bytes.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&out[..out.len().min(room)]);
    }
}

/// The event that ends a stream early and says why.
fn last_word(meter: &Meter, upstream: Api, api: Api, refusal: &Refusal) -> Bytes {
    let decision = refusal.to_object();
    let say = |meter: &Meter| meter.end_early(refusal.code, &refusal.reason, Some(&decision));
    // In the client's words, whatever the provider's are.
    if upstream == api { say(meter) } else { say(&Meter::new(api, Tokenizer::default(), false)) }
}
