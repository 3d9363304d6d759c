//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Runs of one workspace that wait for a place.
pub const QUEUE_MAX: usize = 256;

/// Bytes of one line of output; longer ones are cut into several.
pub const LINE_BYTES_MAX: usize = 16 * 1_024;

/// Between asking a program to end and ending it.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);

/// The same for one that is killed.
pub(crate) const KILL_GRACE: Duration = Duration::from_millis(100);

/// How long what a program wrote before it ended is still read.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// Bytes of a program's output that are taken at once.
pub(crate) const READ_BYTES: usize = 64 * 1_024;

/// How often it is looked whether a run idles, or may act again after a suspension.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// Bytes of one answer with output.
pub(crate) const READ_BYTES_MAX: u64 = 1 << 20;
