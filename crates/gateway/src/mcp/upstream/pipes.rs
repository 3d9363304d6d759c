//! The two pipes of a child: whole lines in, bounded lines out.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::UpstreamError;
use super::http::read;
use super::routes::Routes;
use crate::Limits;
use crate::mcp::message::Id;

/// One message on its way to a child, and who waits until it is written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) written: oneshot::Sender<Result<(), UpstreamError>>,
}

/// Messages that wait for the one that is being written.
pub(super) const LINES_WAITING_MAX: usize = 4;

/// Writes line by line, each to its end. Where that fails, half a line may be written: the channel is of no more use,
/// and the child is ended.
pub(super) async fn write_lines(
    mut stdin: pipe::Sender,
    mut lines: mpsc::Receiver<Line>,
    routes: Arc<Mutex<Routes>>,
    stop: CancellationToken,
    patience: Duration,
) {
    loop {
        let line = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            line = lines.recv() => line,
        };
        let Some(line) = line else { return };
        let result = match tokio::time::timeout(patience, stdin.write_all(&line.bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(UpstreamError::Broken),
            Err(_) => Err(UpstreamError::Timeout),
        };
        let failed = result.is_err();
        // Whoever wrote may have stopped waiting.
        let _ = line.written.send(result);
        if failed {
            routes.lock().close();
            stop.cancel();
            return;
        }
    }
}

/// Reads line by line, and gives each message to whom it is for.
pub(super) async fn read_lines(
    mut stdout: pipe::Receiver,
    routes: &Mutex<Routes>,
    unroutable: &mpsc::Sender<Id>,
    limits: &Limits,
) -> Result<(), UpstreamError> {
    let mut lines = Lines { bytes: Vec::with_capacity(8 << 10), scanned: 0, bytes_max: limits.message_bytes };
    loop {
        match stdout.read_buf(&mut lines.bytes).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
        while let Some(line) = lines.next()? {
            // Servers are known to print other things; a line that is no message is nobody's.
            let Ok(message) = read(&line, limits) else { continue };
            if let Some(question) = routes.lock().deliver(message, line.len()) {
                // Nobody can answer it; when even that cannot be said, the server goes without.
                let _ = unroutable.try_send(question);
            }
        }
    }
}

/// Cuts what comes into lines of a bounded length.
#[derive(Debug)]
struct Lines {
    bytes: Vec<u8>,
    scanned: usize,
    bytes_max: usize,
}

// === impl Lines ===

impl Lines {
    fn next(&mut self) -> Result<Option<Vec<u8>>, UpstreamError> {
        let end = self.bytes[self.scanned..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|end| end + self.scanned) else {
            self.scanned = self.bytes.len();
            if self.bytes.len() > self.bytes_max {
                return Err(UpstreamError::TooLarge { bytes_max: self.bytes_max });
            }
            return Ok(None);
        };
        if end > self.bytes_max {
            return Err(UpstreamError::TooLarge { bytes_max: self.bytes_max });
        }
        let rest = self.bytes.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        self.scanned = 0;
        line.pop();
        Ok(Some(line))
    }
}
