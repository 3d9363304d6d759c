//! What comes back from a provider, whoever it is.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::recorder::Recorded;
use crate::http::wires::{AnswerBody, WireError};

/// The body of an answer. Reading may be given up at any time and begun again: nothing is lost.
#[derive(Debug)]
pub(crate) enum Body {
    /// It comes over HTTP.
    Wire(AnswerBody),
    /// It comes over HTTP and is recorded.
    Recorded(Box<Recorded>),
    /// It was made here.
    Local(Local),
}

/// A body that was made here.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pieces: VecDeque<Bytes>,
    /// Between every two pieces.
    pause: Duration,
    /// Before this, the next piece does not come.
    due: Option<Instant>,
    /// It breaks off after the last piece.
    breaks: bool,
}

// === impl Body ===

impl Body {
    /// The next part; `None` at the end.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, WireError> {
        match self {
            Self::Wire(body) => body.data().await,
            Self::Recorded(recorded) => recorded.data().await,
            Self::Local(local) => local.data().await,
        }
    }

    /// The length, if it was announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self {
            Self::Wire(body) => body.announced(),
            Self::Recorded(recorded) => recorded.announced(),
            Self::Local(local) => Some(local.left()),
        }
    }
}

// === impl Local ===

impl Local {
    /// A body in one piece.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::pieces([bytes.into()])
    }

    /// A body that comes in these pieces.
    pub(super) fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self { pieces: pieces.into_iter().collect(), ..Self::default() }
    }

    /// The first piece comes after this time.
    pub(super) fn begins_after(self, first: Duration) -> Self {
        Self { due: (!first.is_zero()).then(|| Instant::now() + first), ..self }
    }

    /// So much time passes between every two pieces.
    pub(super) fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// It breaks off in the end.
    pub(super) fn broken(self) -> Self {
        Self { breaks: true, ..self }
    }

    async fn data(&mut self) -> Result<Option<Bytes>, WireError> {
        if let Some(due) = self.due {
            sleep_until(due).await;
            self.due = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            return if self.breaks { Err(WireError::Broken) } else { Ok(None) };
        };
        if !self.pause.is_zero() {
            self.due = Some(Instant::now() + self.pause);
        }
        Ok(Some(piece))
    }

    fn left(&self) -> u64 {
        let bytes = self.pieces.iter().map(Bytes::len).sum::<usize>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}
