//! Bodies on their way between a program inside and a host: counted, and cut off with what they belong to.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use ringfence_kernel::{Cancel, CutOff, Failure};
use tokio::time::{Instant, Sleep};

use super::upstream::Connection;
use crate::egress::fare::{Counts, End, Fare, Way};
use crate::http::outbound::Outbound;

/// The body of a request on its way to a host.
pub(crate) struct Upload {
    incoming: Incoming,
    counts: Counts,
    cut: CutWatch,
}

/// The body of an answer on its way to a program inside. It settles the action when it ends.
pub(crate) struct Download {
    incoming: Incoming,
    fare: Option<Fare>,
    cut: CutWatch,
    patience: Patience,
    /// Given back when the answer was read to its end.
    connection: Option<Connection>,
}

/// What a program inside is answered.
pub(crate) enum Reply {
    /// By the host.
    Host(Box<Download>),
    /// By the gateway.
    Own(Bytes),
    /// By what is behind the agents' listener.
    Gate(Outbound),
}

/// A body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// From above.
    #[error("cut off")]
    Cut,
    /// Nothing came for too long, or the time was up.
    #[error("too slow")]
    TooSlow,
    /// More than a rule lets the host answer with.
    #[error("too large")]
    TooLarge,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
}

/// Wakes whoever waits when it is cut off.
struct CutWatch {
    cancel: Cancel,
    waiting: Pin<Box<dyn Future<Output = CutOff> + Send + Sync>>,
}

/// How long is waited: for the next bytes, and at all.
struct Patience {
    idle: Duration,
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
}

// === impl CutWatch ===

impl CutWatch {
    fn new(cancel: &Cancel) -> Self {
        let watched = cancel.clone();
        Self { cancel: cancel.clone(), waiting: Box::pin(async move { watched.cancelled().await }) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Option<CutOff> {
        // Once it was cut off it is not waited for again.
        if let Err(cut) = self.cancel.check() {
            return Some(cut);
        }
        match self.waiting.as_mut().poll(cx) {
            Poll::Ready(cut) => Some(cut),
            Poll::Pending => None,
        }
    }
}

// === impl Patience ===

impl Patience {
    fn new(idle: Duration, deadline: Instant) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(deadline.min(Instant::now() + idle)));
        Self { idle, deadline, sleep }
    }

    fn renew(&mut self) {
        let until = self.deadline.min(Instant::now() + self.idle);
        self.sleep.as_mut().reset(until);
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.sleep.as_mut().poll(cx).is_ready()
    }
}

// === impl Upload ===

impl Upload {
    pub(crate) fn new(incoming: Incoming, fare: &Fare) -> Self {
        Self { incoming, counts: fare.counts.clone(), cut: CutWatch::new(&fare.cancel) }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.cut.poll(cx).is_some() {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        let frame = frame.map(|frame| frame.map_err(|_| BodyError::Broken));
        if let Some(Ok(frame)) = &frame {
            self.counts.add(Way::Out, frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

// === impl Download ===

impl Download {
    pub(crate) fn new(incoming: Incoming, fare: Fare, idle: Duration, connection: Connection) -> Self {
        let mut download = Self {
            cut: CutWatch::new(&fare.cancel),
            patience: Patience::new(idle, fare.deadline),
            incoming,
            fare: Some(fare),
            connection: Some(connection),
        };
        if download.incoming.is_end_stream() {
            // Nobody reads what is not there.
            download.finish();
        }
        download
    }

    fn finish(&mut self) {
        if let Some(fare) = self.fare.take() {
            fare.end(End::Done);
        }
        if let Some(connection) = self.connection.take() {
            connection.give_back();
        }
    }

    fn break_off(&mut self, end: End, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(fare) = self.fare.take() {
            fare.end(end);
        }
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.fare.is_none() {
            return Poll::Ready(None);
        }
        if let Some(cut) = self.cut.poll(cx) {
            return self.break_off(End::Cut(cut), BodyError::Cut);
        }
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            if self.patience.is_over(cx) {
                let late = Instant::now() >= self.patience.deadline;
                let silent = End::Host(Failure::Timeout, "the host said nothing for too long");
                return self.break_off(if late { End::Deadline } else { silent }, BodyError::TooSlow);
            }
            return Poll::Pending;
        };
        match frame {
            None => {
                self.finish();
                Poll::Ready(None)
            }
            Some(Err(_)) => {
                let end = End::Host(Failure::Transport, "the host broke off its answer");
                self.break_off(end, BodyError::Broken)
            }
            Some(Ok(frame)) => {
                self.patience.renew();
                let Some(fare) = &self.fare else { return Poll::Ready(None) };
                fare.counts.add(Way::In, frame.data_ref().map_or(0, Bytes::len));
                if fare.is_over() {
                    let end = End::Host(Failure::Withheld, "the host sent more than a rule allows");
                    return self.break_off(end, BodyError::TooLarge);
                }
                if self.incoming.is_end_stream() {
                    // A body of a known length is not asked for more.
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.fare.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

// === impl Reply ===

impl Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Host(download) => Pin::new(&mut **download).poll_frame(cx),
            Self::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Gate(answer) => Pin::new(answer)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|_| BodyError::Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Host(download) => download.is_end_stream(),
            Self::Own(bytes) => bytes.is_empty(),
            Self::Gate(answer) => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Host(download) => download.size_hint(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Gate(answer) => answer.size_hint(),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(…)")
    }
}
