//! How long a pull goes on: until its time is over, or nobody wants what comes of it.

use std::io;
use std::time::Duration;

use ringfence_types::format_duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::limits::IMAGE_PULL_TIMEOUT;

pub(super) const CALLED_OFF: &str = "nobody waits for it any more";

/// When a pull ends, whatever it has by then.
#[derive(Clone, Debug)]
pub(super) struct Until {
    stop: CancellationToken,
    deadline: Instant,
    most: Duration,
}

// === impl Until ===

impl Until {
    pub(super) fn new(stop: CancellationToken, most: Duration) -> Self {
        Self { stop, deadline: Instant::now() + most, most }
    }

    /// Waits for a part of an answer; why it does not come.
    pub(super) async fn within<T>(&self, part: impl Future<Output = T>) -> Result<T, String> {
        let end = self.deadline.min(Instant::now() + IMAGE_PULL_TIMEOUT);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(CALLED_OFF.to_owned()),
            done = timeout_at(end, part) => done.map_err(|_| self.late()),
        }
    }

    /// For whoever works away from all who wait: an error as soon as it is over.
    pub(super) fn look(&self) -> io::Result<()> {
        // No kind that is tried again by those who read.
        let over = |why: String| Err(io::Error::new(io::ErrorKind::TimedOut, why));
        if self.stop.is_cancelled() {
            over(CALLED_OFF.to_owned())
        } else if Instant::now() >= self.deadline {
            over(self.late())
        } else {
            Ok(())
        }
    }

    fn late(&self) -> String {
        if Instant::now() < self.deadline {
            return "the registry takes too long".to_owned();
        }
        format!("it takes more than {}, all in all", format_duration(self.most))
    }
}
