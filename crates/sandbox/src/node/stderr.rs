//! A child's standard error: always read, and the last part of it kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::limits::STDERR_BYTES_MAX;

/// The last bytes that a child wrote to its standard error, at most [`STDERR_BYTES_MAX`].
///
/// It is read all the time, so that a child that writes much is never blocked by it and never fills memory. What
/// it says is a stranger's text: escape it before it reaches a terminal.
#[derive(Clone, Default)]
pub struct BoundedStderr(Arc<Inner>);

#[derive(Default)]
struct Inner {
    ring: Mutex<Ring>,
    /// Told when all is read.
    over: Notify,
}

#[derive(Default)]
struct Ring {
    last: VecDeque<u8>,
    total: u64,
    is_over: bool,
}

// === impl BoundedStderr ===

impl BoundedStderr {
    /// Starts reading; ends when every process that holds the other end has ended.
    pub(super) fn reading(mut pipe: pipe::Receiver) -> Self {
        let ring = Self::default();
        let kept = ring.clone();
        tokio::spawn(async move {
            let mut chunk = [0; 4_096];
            while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                kept.push(&chunk[..count]);
            }
            kept.ring().is_over = true;
            kept.0.over.notify_waiters();
        });
        ring
    }

    /// What is kept once everything that was written is read, or so much time has passed: a process that was left
    /// running may hold the other end for longer.
    pub async fn last_words(&self, within: Duration) -> String {
        let over = self.0.over.notified();
        if !self.ring().is_over {
            let _ = timeout(within, over).await;
        }
        self.tail()
    }

    /// What is kept, as text; bytes that are not UTF-8 are replaced.
    pub fn tail(&self) -> String {
        let ring = self.ring();
        let (front, back) = ring.last.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }

    /// Bytes written since the start, the forgotten ones included.
    pub fn total_bytes(&self) -> u64 {
        self.ring().total
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: &[u8]) {
        let mut ring = self.ring();
        ring.total = ring.total.saturating_add(bytes.len() as u64);
        let kept = &bytes[bytes.len().saturating_sub(STDERR_BYTES_MAX)..];
        let surplus = (ring.last.len() + kept.len()).saturating_sub(STDERR_BYTES_MAX);
        ring.last.drain(..surplus);
        ring.last.extend(kept);
    }
}

/// A stranger's text stays out of Debug output.
impl std::fmt::Debug for BoundedStderr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BoundedStderr({} bytes)", self.total_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn last_words_are_waited_for_and_not_for_ever() {
        let (mut writer, reader) = pipe::pipe().unwrap();
        let stderr = BoundedStderr::reading(reader);
        let slow = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            tokio::io::AsyncWriteExt::write_all(&mut writer, b"the reason").await.unwrap();
            writer
        });
        assert_eq!(
            stderr.last_words(Duration::from_millis(300)).await,
            "the reason",
            "somebody holds it still"
        );
        drop(slow.await.unwrap());
        assert_eq!(stderr.last_words(Duration::from_hours(1)).await, "the reason");
        assert_eq!(stderr.last_words(Duration::from_hours(1)).await, "the reason", "it is over");
    }

    #[test]
    fn only_the_last_bytes_are_kept() {
        let stderr = BoundedStderr::default();
        for n in 0..STDERR_BYTES_MAX {
            stderr.push(format!("{n}\n").as_bytes());
        }
        let tail = stderr.tail();
        assert_eq!(tail.len(), STDERR_BYTES_MAX);
        assert!(tail.ends_with(&format!("{}\n", STDERR_BYTES_MAX - 1)));
        assert!(stderr.total_bytes() > STDERR_BYTES_MAX as u64);

        stderr.push(&vec![b'x'; STDERR_BYTES_MAX * 2]);
        assert!(stderr.tail().bytes().all(|byte| byte == b'x'));
        stderr.push(&[0xff]);
        assert!(stderr.tail().ends_with("x\u{fffd}"));
    }
}
