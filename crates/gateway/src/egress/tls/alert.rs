//! Telling a client of TLS that it may not, before any keys are agreed on (RFC 8446 §6).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    /// It cannot be read.
    DecodeError = 50,
    /// It may not.
    AccessDenied = 49,
    /// It may, but it does not work.
    InternalError = 80,
}

/// How long a client may take to hear it.
const HEARING_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// Says it and closes. What the client still sends is read: closed over it, the alert would be lost.
pub(crate) async fn tell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, alert: Alert) {
    let record = [21, 3, 3, 0, 2, 2, alert as u8];
    let telling = async {
        stream.write_all(&record).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1_024];
        while stream.read(&mut sink).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Whoever does not listen to the end hears the end of the connection.
    let _ = tokio::time::timeout(HEARING_TIME, telling).await;
}
