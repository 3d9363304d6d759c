//! Waiting, with a limit and a sentence for what was waited for.

use std::time::{Duration, Instant};

use crate::limits::LOOK;

/// The value of a future, or a failed test that says what did not come.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(limit, future).await;
    in_time.unwrap_or_else(|_| panic!("{what}: nothing for {} s", limit.as_secs()))
}

/// Looks again and again until there is something to see.
pub async fn eventually<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(start.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks again and again until it is so; whether it was within the limit.
pub async fn eventually_true(limit: Duration, mut look: impl AsyncFnMut() -> bool) -> bool {
    let start = Instant::now();
    while !look().await {
        if start.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}
