//! Answers on their way to an agent.
//!
//! Whatever is ready is handed to the connection in small pieces, and before each the suspensions are looked at
//! once more: what was cut off ends there, not after what happened to be buffered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use ringfence_kernel::{Cancel, Lease};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::Limits;

/// The body of an answer.
pub(crate) struct Outbound {
    /// What is being given out.
    now: Bytes,
    /// Where more comes from.
    more: Option<mpsc::Receiver<Piece>>,
    cancel: Option<Cancel>,
    piece_bytes: usize,
    /// Whether part of an event was given out already.
    within_event: bool,
    /// Whether `now` is given out whatever was cut off: it says why.
    last: bool,
    /// What takes the place of the answer when it is cut off on its way.
    instead: Option<Instead>,
    /// What `cancel` belongs to, if nobody else keeps it.
    lease: Option<Lease>,
    streams: bool,
    /// The room of `now` in the backlog, kept until more is asked for.
    room: Option<OwnedSemaphorePermit>,
}

/// Says, as an event, why there is no answer.
pub(crate) type Instead = Box<dyn FnOnce(ringfence_kernel::CutOff) -> Bytes + Send>;

/// A part of a stream of events.
pub(crate) enum Piece {
    /// An event, or a sign of life, and its room in the backlog.
    Event(Bytes, Option<OwnedSemaphorePermit>),
    /// The answer, after which the stream ends. The lease is held until it is given out; if it is cut off before,
    /// the event that the last part makes takes its place.
    Answer(Bytes, Lease, Instead),
    /// The last event: given out even after the stream was cut off, because it says so.
    Last(Bytes),
}

/// The way in for what a stream gives out. Its backlog is bounded in messages and in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pieces: mpsc::Sender<Piece>,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

/// Nobody takes what the stream gives out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

/// A stream of events: the way in, and what [`events`] takes.
pub(crate) fn channel(limits: &Limits, backlog_bytes: usize) -> (Sender, mpsc::Receiver<Piece>) {
    let (pieces, receiver) = mpsc::channel(limits.stream_backlog);
    let bytes_max = backlog_bytes.min(Semaphore::MAX_PERMITS);
    (Sender { pieces, room: Arc::new(Semaphore::new(bytes_max)), bytes_max }, receiver)
}

/// The answer was cut off while it was given out, and could not end in an orderly way.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer was cut off")]
pub(crate) struct CutOff;

/// Ends an event that was given out in part: of this kind, no client takes it for a message.
const ABANDONED: &[u8] = b"\nevent: ringfence-cut-off\n\n";

// === impl Sender ===

impl Sender {
    /// Gives out an event once there is room for it.
    pub(crate) async fn event(&self, event: Bytes) -> Result<(), Gone> {
        let bytes = u32::try_from(event.len().min(self.bytes_max)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await.ok();
        self.pieces.send(Piece::Event(event, permit)).await.map_err(|_| Gone)
    }

    /// Gives out something small if there is room at once.
    pub(crate) fn try_event(&self, event: Bytes) {
        // A backlog is a sign of life of its own.
        let _ = self.pieces.try_send(Piece::Event(event, None));
    }

    /// Gives out the last piece.
    pub(crate) async fn last(&self, piece: Piece) -> Result<(), Gone> {
        self.pieces.send(piece).await.map_err(|_| Gone)
    }

    /// Until nobody takes it any more.
    pub(crate) async fn closed(&self) {
        self.pieces.closed().await;
    }
}

// === impl Outbound ===

impl Outbound {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::whole(Bytes::new(), None, usize::MAX)
    }

    /// A body that is known as a whole.
    pub(crate) fn whole(bytes: Bytes, cancel: Option<Cancel>, piece_bytes: usize) -> Self {
        Self {
            now: bytes,
            more: None,
            cancel,
            piece_bytes,
            within_event: false,
            last: false,
            instead: None,
            lease: None,
            streams: false,
            room: None,
        }
    }

    /// A stream of events.
    pub(crate) fn stream(events: mpsc::Receiver<Piece>, cancel: Cancel, piece_bytes: usize) -> Self {
        Self { more: Some(events), streams: true, ..Self::whole(Bytes::new(), Some(cancel), piece_bytes) }
    }

    fn is_cut_off(&self) -> bool {
        !self.last && self.cancel.as_ref().is_some_and(|cancel| cancel.check().is_err())
    }

    /// The next piece of what is there.
    fn take_piece(&mut self) -> Frame<Bytes> {
        let piece = self.now.split_to(self.now.len().min(self.piece_bytes));
        self.within_event = !self.now.is_empty();
        Frame::data(piece)
    }

    /// Drops what was cut off; gives what ends it in an orderly way, if anything has to.
    fn abandon(&mut self) -> Option<Bytes> {
        self.now = Bytes::new();
        std::mem::take(&mut self.within_event).then(|| Bytes::from_static(ABANDONED))
    }

    /// What says why the answer is cut off, if there was to be one.
    fn explain(&mut self) {
        let cut = self.cancel.as_ref().and_then(|cancel| cancel.check().err());
        if let (Some(instead), Some(cut)) = (self.instead.take(), cut) {
            self.now = instead(cut);
            self.last = true;
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if self.is_cut_off() {
                if let Some(end) = self.abandon() {
                    return Poll::Ready(Some(Frame::data(end)));
                }
                self.explain();
            }
            if !self.now.is_empty() {
                return Poll::Ready(Some(self.take_piece()));
            }
            // What asks for more has taken what there was: the next event may need all the room there is to come.
            self.room = None;
            let Some(events) = &mut self.more else { return Poll::Ready(None) };
            match std::task::ready!(events.poll_recv(cx)) {
                Some(Piece::Event(event, room)) => {
                    self.now = event;
                    self.room = room;
                }
                Some(Piece::Answer(event, lease, instead)) => {
                    self.now = event;
                    self.lease = Some(lease);
                    self.instead = Some(instead);
                    self.more = None;
                }
                Some(Piece::Last(event)) => {
                    self.now = event;
                    self.last = true;
                }
                None => self.more = None,
            }
        }
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("streams", &self.streams).finish_non_exhaustive()
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if self.streams {
            return self.poll_stream(cx).map(|frame| frame.map(Ok));
        }
        if self.now.is_empty() {
            return Poll::Ready(None);
        }
        if self.is_cut_off() {
            // Its length was announced: the only end left is that of the connection.
            return Poll::Ready(Some(Err(CutOff)));
        }
        Poll::Ready(Some(Ok(self.take_piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.more.is_none() && self.now.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.streams { SizeHint::new() } else { SizeHint::with_exact(self.now.len() as u64) }
    }
}

/// An answer without a body.
pub(crate) fn status(status: StatusCode) -> Response<Outbound> {
    let mut response = Response::new(Outbound::empty());
    *response.status_mut() = status;
    response
}

/// An answer in JSON. `cancel` is looked at before each piece.
pub(crate) fn json(
    status: StatusCode,
    body: Vec<u8>,
    cancel: Option<Cancel>,
    piece: usize,
) -> Response<Outbound> {
    let mut response = Response::new(Outbound::whole(body.into(), cancel, piece));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// As [`json`], for a body that takes a while to give out: the lease is cut off with everything else of its run.
pub(crate) fn json_held(status: StatusCode, body: Vec<u8>, lease: Lease, piece: usize) -> Response<Outbound> {
    let mut response = json(status, body, Some(lease.cancel().clone()), piece);
    response.body_mut().lease = Some(lease);
    response
}

/// A stream of events.
pub(crate) fn events(events: mpsc::Receiver<Piece>, cancel: Cancel, piece: usize) -> Response<Outbound> {
    let mut response = Response::new(Outbound::stream(events, cancel, piece));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Reverse proxies would hold the events back (MCP 2026-07-28, "Receiving Messages").
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_body_is_given_out_in_pieces() {
        let mut body = Outbound::whole(Bytes::from_static(b"0123456789"), Some(Cancel::default()), 4);
        assert_eq!(body.size_hint().exact(), Some(10));
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(text(&frame.unwrap().into_data().unwrap()));
        }
        assert_eq!(pieces, ["0123", "4567", "89"]);
    }

    #[tokio::test]
    async fn a_backlog_is_bounded_in_bytes() {
        let limits = Limits { stream_backlog: 100, stream_backlog_bytes: 10, ..Limits::default() };
        let (sender, mut receiver) = channel(&limits, limits.stream_backlog_bytes);
        let event = |bytes: usize| Bytes::from(vec![b'a'; bytes]);
        sender.event(event(6)).await.unwrap();
        let patience = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(patience, sender.event(event(6))).await.is_err(), "no room");
        drop(receiver.recv().await);
        sender.event(event(6)).await.unwrap();
        drop(receiver.recv().await);
        sender.event(event(1_000)).await.unwrap();
        assert!(tokio::time::timeout(patience, sender.event(event(1))).await.is_err(), "it has to be alone");
    }

    #[tokio::test]
    async fn an_event_that_needs_all_the_room_comes_after_one_that_was_taken() {
        let limits = Limits { stream_backlog: 100, stream_backlog_bytes: 10, ..Limits::default() };
        let (sender, receiver) = channel(&limits, limits.stream_backlog_bytes);
        let sending = tokio::spawn(async move {
            for bytes in [6, 6, 1_000, 10] {
                sender.event(Bytes::from(vec![b'a'; bytes])).await.unwrap();
            }
        });
        let reading = Outbound::stream(receiver, Cancel::default(), 4).collect();
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await;
        assert_eq!(read.expect("all of it comes").unwrap().to_bytes().len(), 1_022);
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn a_stream_gives_out_its_events_and_ends() {
        let (sender, receiver) = mpsc::channel(4);
        sender.send(Piece::Event(Bytes::from_static(b"data: 1\n\n"), None)).await.unwrap();
        sender.send(Piece::Last(Bytes::from_static(b"data: 2\n\n"))).await.unwrap();
        drop(sender);
        let body = Outbound::stream(receiver, Cancel::default(), 5).collect().await.unwrap();
        assert_eq!(text(&body.to_bytes()), "data: 1\n\ndata: 2\n\n");
    }
}
