//! Keeping what a program writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_kernel::Kernel;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Notify;

use crate::limits::READ_BYTES;
use crate::output::{Line, Lines, Output, Stream};

/// What a program writes, as far as it came.
#[derive(Default)]
pub(crate) struct Written {
    pub bytes: AtomicU64,
    /// It wrote more than it may, or what it wrote cannot be kept.
    pub over: Notify,
}

/// Reads one stream of a program.
pub(crate) struct Reader {
    pub stream: Stream,
    pub output: Arc<Output>,
    pub written: Arc<Written>,
    pub kernel: Kernel,
}

impl Reader {
    /// Keeps what comes until the program's end of the pipe is closed. What is too much is read on and not kept: a full
    /// pipe would hold the program before it can be ended.
    pub(crate) async fn read(self, mut from: impl AsyncRead + Unpin) {
        let reader = Arc::new(self);
        let (mut lines, mut room) = (Lines::default(), true);
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            reader.written.bytes.fetch_add(length as u64, Ordering::Relaxed);
            if !room {
                tokio::task::yield_now().await;
                continue;
            }
            (lines, room) = reader.keep(lines, buffer[..length].to_vec(), false).await;
        }
        if room {
            reader.keep(lines, Vec::new(), true).await;
        }
    }

    /// Keeps the lines that are complete with these bytes; with `last` also one without its end. On a thread that may
    /// block: a chunk can be very many lines.
    async fn keep(self: &Arc<Self>, mut lines: Lines, bytes: Vec<u8>, last: bool) -> (Lines, bool) {
        let reader = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || {
            let at = reader.kernel.now();
            let line = |(text, goes_on)| Line { at, stream: reader.stream, text, goes_on };
            let mut complete = lines.push(&bytes);
            if last {
                complete.extend(lines.rest().map(|rest| (rest, false)));
            }
            let kept = reader.output.keep(complete.into_iter().map(line));
            let room = kept.unwrap_or_else(|error| {
                tracing::warn!(%error, "what a run writes cannot be kept");
                false
            });
            if !room {
                reader.written.over.notify_one();
            }
            (lines, room)
        });
        // The runtime is ending, and the run with it.
        kept.await.unwrap_or_default()
    }
}
