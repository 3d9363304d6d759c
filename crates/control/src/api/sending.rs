//! Bytes that are sent as they are read.

use std::fs::File;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Bytes that are sent at once.
const PART_BYTES: usize = 64 << 10;

/// Parts that wait for a slow reader; then nothing more is read for them.
const QUEUE: usize = 8;

/// The content of a file.
pub(super) fn file(mut file: File, place: OwnedSemaphorePermit) -> Body {
    written(place, move |out| io::copy(&mut file, out).map(drop))
}

/// What `write` writes, on a thread that may block. Where it fails, the answer breaks off: whoever reads it sees that it is
/// not whole.
pub(super) fn written(
    place: OwnedSemaphorePermit,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let failed = sender.clone();
        let mut out = io::BufWriter::with_capacity(PART_BYTES, Out(sender));
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            // Whoever has gone needs no reason.
            let _ = failed.blocking_send(Err(error));
        }
        drop(place);
    });
    Body::new(StreamBody::new(Parts(receiver)))
}

struct Out(mpsc::Sender<io::Result<Bytes>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The receiving end as a stream of frames.
struct Parts(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Parts {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
