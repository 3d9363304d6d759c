//! The provider of tests and benches, tested over its socket.

mod answers;
mod bad_days;
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that gets no answer fails")]
mod client;
