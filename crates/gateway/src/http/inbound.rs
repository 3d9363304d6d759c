//! Bodies of requests, read under bounds of size and time.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// More bytes than the bound.
    #[error("the body has more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// It did not come in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke.
    #[error("the body ended early")]
    Broken,
}

/// Reads a whole body.
///
/// # Errors
/// When it is over `bytes_max`, takes longer than `time`, or breaks off.
pub(crate) async fn read(body: Incoming, bytes_max: usize, time: Duration) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let mut reading = pin!(collect(body, bytes_max));
    // A body that is there already, as most are, needs no timer.
    let ready = std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
    match ready {
        Poll::Ready(result) => result,
        Poll::Pending => tokio::time::timeout(time, reading).await.unwrap_or(Err(BodyError::TooSlow)),
    }
}

async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > bytes_max {
            return Err(BodyError::TooLarge { bytes_max });
        }
        if first.is_empty() && all.is_empty() {
            // Most bodies come in one piece, which then is not copied.
            first = data;
            continue;
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
