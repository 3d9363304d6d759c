//! The body of an answer, written piece by piece, with everything that may go wrong on the way.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::behaviour::Behaviour;
use crate::said::Said;
use crate::stats::{End, Running};
use crate::wire::{Api, with_crlf};

/// Something that is no event, and no JSON.
const GARBAGE: &[u8] = b"data: {\"id\":\"chatcmpl-\xff\xfe,[}\n\n<html>502 Bad Gateway</html>\n\n";

/// A comment, as servers send them so that nobody hangs up.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// The body of any answer.
#[derive(Debug)]
pub enum Answer {
    /// At once. An answer that is cut or hangs promises more than it holds.
    Whole {
        /// What is left to write.
        body: Option<Bytes>,
        /// What comes after it.
        then: Then,
        /// Bytes that the head promises.
        promised: u64,
        /// What is counted; nothing for answers that nobody counts.
        running: Option<Running>,
    },
    /// Piece by piece.
    Stream(Box<Stream>),
}

/// What comes after the written part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Its end.
    End(End),
    /// What was written is sent, then the socket is closed.
    Broken,
    /// Nothing, for as long as the client waits.
    Silence,
}

/// An answer that is written piece by piece.
#[derive(Debug)]
pub struct Stream {
    api: Api,
    said: Said,
    how: Behaviour,
    next: Next,
    queue: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    running: Running,
}

/// What is to be written next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Opening,
    Piece(u32),
    Closing,
    Nothing,
}

/// What is written, and what comes between.
#[derive(Debug)]
enum Step {
    Write(Bytes),
    Wait(Duration),
    /// Lets the connection write what it has.
    Flush,
    Silence,
    Cut,
    Wrote(u64),
    Finished,
}

// === impl Stream ===

impl Stream {
    /// An answer that begins with the first poll.
    pub fn new(api: Api, said: Said, how: Behaviour, running: Running) -> Self {
        Self { api, said, how, next: Next::Opening, queue: VecDeque::new(), sleep: None, running }
    }

    fn advance(&mut self) {
        match self.next {
            Next::Opening => {
                self.write(self.api.opening(&self.said).into());
                self.wait(self.how.first_ms);
                self.next = Next::Piece(0);
            }
            Next::Piece(index) if index >= self.said.pieces() => {
                // What was to go wrong at a later piece goes wrong at the end.
                if !self.trouble(None) {
                    self.next = Next::Closing;
                }
            }
            Next::Piece(index) => {
                if index > 0 {
                    self.wait(self.how.delay_ms);
                }
                if !self.trouble(Some(index)) {
                    if self.how.comments {
                        self.queue.push_back(Step::Write(Bytes::from_static(COMMENT)));
                    }
                    let tokens = self.said.piece(index).map_or(0, |piece| piece.tokens());
                    self.write(self.api.piece(&self.said, index).into());
                    self.queue.push_back(Step::Wrote(u64::from(tokens) * u64::from(self.said.choices)));
                    self.next = Next::Piece(index + 1);
                }
            }
            Next::Closing => {
                self.write(self.api.closing(&self.said).into());
                self.queue.push_back(Step::Finished);
                self.next = Next::Nothing;
            }
            Next::Nothing => {}
        }
    }

    /// What goes wrong before a piece, or before the end. Returns whether the stream goes no further.
    fn trouble(&mut self, index: Option<u32>) -> bool {
        let due = |at: Option<u32>| at.is_some() && index.is_none_or(|index| at == Some(index));
        if due(self.how.garbage_at) {
            self.how.garbage_at = None;
            self.queue.push_back(Step::Write(Bytes::from_static(GARBAGE)));
        }
        let steps = if due(self.how.cut_after) {
            vec![Step::Flush, Step::Cut]
        } else if due(self.how.hang_after) {
            vec![Step::Silence]
        } else if due(self.how.error_at) {
            vec![Step::Write(Bytes::from_static(self.api.trouble().as_bytes())), Step::Finished]
        } else {
            return false;
        };
        self.queue.extend(steps);
        self.next = Next::Nothing;
        true
    }

    fn wait(&mut self, millis: u64) {
        if millis > 0 {
            self.queue.push_back(Step::Wait(Duration::from_millis(millis)));
        }
    }

    fn write(&mut self, bytes: Bytes) {
        let bytes = if self.how.crlf { with_crlf(&bytes) } else { bytes };
        if self.how.split_utf8
            && let Some(at) = bytes.iter().position(|byte| !byte.is_ascii())
        {
            self.queue.push_back(Step::Write(bytes.slice(..=at)));
            self.queue.push_back(Step::Wait(Duration::from_millis(1)));
            self.queue.push_back(Step::Write(bytes.slice(at + 1..)));
        } else if let Some(size) = self.how.slice {
            for from in (0..bytes.len()).step_by(size) {
                self.queue.push_back(Step::Write(bytes.slice(from..bytes.len().min(from + size))));
                self.queue.push_back(Step::Flush);
            }
        } else if !bytes.is_empty() {
            self.queue.push_back(Step::Write(bytes));
            if self.how.flush {
                self.queue.push_back(Step::Flush);
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            match self.queue.pop_front() {
                Some(Step::Write(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(long)) => self.sleep = Some(Box::pin(tokio::time::sleep(long))),
                Some(Step::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Silence) => {
                    self.queue.push_front(Step::Silence);
                    return Poll::Pending;
                }
                Some(Step::Cut) => {
                    self.running.end(End::Cut);
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
                }
                Some(Step::Wrote(tokens)) => self.running.wrote(tokens),
                Some(Step::Finished) => self.running.end(End::Finished),
                None if matches!(self.next, Next::Nothing) => return Poll::Ready(None),
                None => self.advance(),
            }
        }
    }
}

// === impl Answer ===

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Stream(stream) => stream.poll(context),
            Self::Whole { body, then, running, .. } => {
                let end = |running: &mut Option<Running>, end| running.as_mut().map_or((), |it| it.end(end));
                if let Some(body) = body.take() {
                    // A whole answer is not asked again after its last byte.
                    if *then == Then::End(End::Finished) {
                        end(running, End::Finished);
                    } else if *then == Then::End(End::Refused) {
                        end(running, End::Refused);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(body))));
                }
                match *then {
                    Then::Silence => Poll::Pending,
                    Then::Broken => {
                        *then = Then::End(End::Cut);
                        context.waker().wake_by_ref();
                        Poll::Pending
                    }
                    Then::End(End::Cut) => {
                        end(running, End::Cut);
                        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
                    }
                    Then::End(_) => Poll::Ready(None),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole { body: None, then: Then::End(End::Finished | End::Refused), .. })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { promised, .. } => SizeHint::with_exact(*promised),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
