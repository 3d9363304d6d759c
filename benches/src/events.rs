//! A body of events without end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// What an event of the upstream can be told by, in the answer of the gate too.
pub const MARK: &str = "\"step\"";

/// Progress of a call that does not end, one event at each tick.
pub struct Events {
    ticks: Interval,
    told: u64,
}

// === impl Events ===

impl Events {
    /// One event now and then one every `pause`. A tick that was missed is left out.
    pub fn every(pause: Duration) -> Self {
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { ticks, told: 0 }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ticks.poll_tick(context).is_pending() {
            return Poll::Pending;
        }
        self.told += 1;
        let told = self.told;
        let event = format!(
            "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":\"p\",\"progress\":{told},\"message\":{MARK}}}}}\n\n"
        );
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }
}
