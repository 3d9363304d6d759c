//! Response bodies that a library would not send.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::state::Running;

/// Sends pieces into a body as they come.
pub struct Pieces {
    sender: mpsc::Sender<std::io::Result<Bytes>>,
}

impl Pieces {
    /// A body and the end that feeds it.
    pub fn new() -> (Self, Body) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { sender }, Body::new(Receiving(receiver)))
    }

    /// Sends one piece; `false` if nobody reads any more.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.sender.send(Ok(piece.into())).await.is_ok()
    }

    /// Breaks the connection off in the middle of the body.
    pub async fn cut(self) {
        let _ = self.sender.send(Err(std::io::Error::other("cut on purpose"))).await;
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}

struct Receiving(mpsc::Receiver<std::io::Result<Bytes>>);

impl http_body::Body for Receiving {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A body of `left` bytes of the letter x between a head and a tail, made as it is read.
pub struct Filled {
    head: Option<Bytes>,
    left: u64,
    tail: Option<Bytes>,
    running: Option<Running>,
    sized: bool,
}

/// Enough for a few system calls per mebibyte.
const PIECE: &[u8] = &[b'x'; 64 * 1024];

impl Filled {
    /// A body that knows its length (`sized`), or is sent in chunks.
    pub fn new(head: String, filling: u64, tail: String, sized: bool, running: Running) -> Self {
        Self {
            head: Some(head.into()),
            left: filling,
            tail: Some(tail.into()),
            running: Some(running),
            sized,
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        if self.left > 0 {
            let length = PIECE.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= length as u64;
            return Some(Bytes::from_static(&PIECE[..length]));
        }
        let tail = self.tail.take();
        if tail.is_none()
            && let Some(running) = self.running.take()
        {
            running.finish();
        }
        tail
    }
}

impl http_body::Body for Filled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        if !self.sized {
            return http_body::SizeHint::default();
        }
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len) as u64;
        http_body::SizeHint::with_exact(length(&self.head) + self.left + length(&self.tail))
    }
}
