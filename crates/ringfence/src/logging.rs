//! The node's own log lines, on standard error: for people at a terminal, JSON for machines elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging; RINGFENCE_LOG says what (`info` unless given).
pub fn start() {
    let filter = EnvFilter::try_from_env("RINGFENCE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, in a test, changes nothing.
    let _ = if is_terminal {
        lines.with_ansi(std::env::var_os("NO_COLOR").is_none()).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_target(false).try_init()
    };
}
