//! What a connection wants to be, by its first bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::tls::hello::{FIRST_BYTE, Hello, HelloError};

/// Bytes after which it is clear whether a line is HTTP's: longer methods are not in use.
const METHOD_BYTES_MAX: usize = 24;

/// What a connection wants to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum First {
    /// TLS.
    Tls(Hello),
    /// A request of HTTP/1.1.
    Http,
    /// Something else, or nothing yet.
    Other,
    /// TLS that cannot be read.
    Broken(HelloError),
    /// It ended without a word.
    Closed,
}

/// A stream whose first bytes were read already and are read again.
#[derive(Debug)]
pub(crate) struct Rewound<S> {
    first: Bytes,
    stream: S,
}

/// Reads as far as it takes to know; what was read comes with it.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn first<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes_max: usize,
    patience: Duration,
) -> io::Result<(First, Bytes)> {
    let mut bytes = BytesMut::with_capacity(2 << 10);
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let reading = tokio::time::timeout_at(deadline, stream.read_buf(&mut bytes));
        let first = match reading.await {
            // Bytes are lost only with the connection: the read is not done when its time is up.
            Err(_) if bytes.first() == Some(&FIRST_BYTE) => First::Broken(HelloError::Incomplete),
            Err(_) => First::Other,
            Ok(Ok(0)) if bytes.is_empty() => First::Closed,
            Ok(read) => match judge(&bytes) {
                Some(first) => first,
                None if read? == 0 || bytes.len() >= bytes_max => match bytes.first() {
                    Some(&FIRST_BYTE) => First::Broken(HelloError::Incomplete),
                    _ => First::Other,
                },
                None => continue,
            },
        };
        return Ok((first, bytes.freeze()));
    }
}

/// What these bytes begin; `None` when more are needed.
fn judge(bytes: &[u8]) -> Option<First> {
    match bytes.first()? {
        &FIRST_BYTE => match Hello::parse(bytes) {
            Ok(hello) => Some(First::Tls(hello)),
            Err(HelloError::Incomplete) => None,
            Err(error) => Some(First::Broken(error)),
        },
        _ => is_http(bytes).map(|http| if http { First::Http } else { First::Other }),
    }
}

/// Whether a line begins as a request does: a method in capitals, a space, and a path, an address or an asterisk.
fn is_http(bytes: &[u8]) -> Option<bool> {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    match bytes.get(method) {
        None if method < METHOD_BYTES_MAX => return None,
        Some(b' ') if method > 0 => {}
        _ => return Some(false),
    }
    let target = bytes.get(method + 1..)?;
    let beginnings: [&[u8]; 3] = [b"/", b"http", b"* HTTP/1."];
    if beginnings.iter().any(|beginning| target.starts_with(beginning)) {
        return Some(true);
    }
    if beginnings.iter().any(|beginning| beginning.starts_with(target)) { None } else { Some(false) }
}

// === impl Rewound ===

impl<S> Rewound<S> {
    pub(crate) fn new(first: Bytes, stream: S) -> Self {
        Self { first, stream }
    }

    /// What was not read again, and the stream.
    pub(crate) fn into_parts(self) -> (Bytes, S) {
        (self.first, self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..count]);
        self.first.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn http_is_told_from_what_looks_like_it() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1", Some(true)),
            ("PROPFIND /x", Some(true)),
            ("M-SEARCH * HTTP/1.1", Some(true)),
            ("GET http://a.example/ HTTP/1.1", Some(true)),
            ("OPTIONS * H", None),
            ("GE", None),
            ("GET ", None),
            ("GET h", None),
            ("PRI * HTTP/2.0", Some(false)),
            ("SSH-2.0-OpenSSH", Some(false)),
            ("EHLO host", Some(false)),
            ("PING\r\n", Some(false)),
            ("get / HTTP/1.1", Some(false)),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Some(false)),
            (" / HTTP/1.1", Some(false)),
        ] {
            assert_eq!(is_http(bytes.as_bytes()), expected, "{bytes}");
        }
    }

    #[tokio::test]
    async fn what_was_read_to_look_at_it_is_read_again() {
        let (mut near, far) = tokio::io::duplex(64);
        let mut far = far;
        near.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let (kind, bytes) = first(&mut far, 64, Duration::from_secs(1)).await.unwrap();
        assert_eq!(kind, First::Http);
        near.write_all(b"\r\n").await.unwrap();
        drop(near);
        let mut all = String::new();
        Rewound::new(bytes, far).read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "GET / HTTP/1.1\r\n\r\n");
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_or_too_much_is_not_waited_for() {
        let (near, mut far) = tokio::io::duplex(64);
        let patience = Duration::from_millis(20);
        assert_eq!(first(&mut far, 64, patience).await.unwrap().0, First::Other);
        drop(near);
        assert_eq!(first(&mut far, 64, patience).await.unwrap().0, First::Closed);
        let (mut near, mut far) = tokio::io::duplex(1_024);
        near.write_all(&[&[22, 3, 1, 0x40, 0][..], &[1; 100]].concat()).await.unwrap();
        let broken = First::Broken(HelloError::Incomplete);
        assert_eq!(first(&mut far, 64, Duration::from_secs(5)).await.unwrap().0, broken);
    }
}
