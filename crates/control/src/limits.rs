//! The bounds of the operators' side.

use std::time::Duration;

/// Length of one secret that the configuration names, in bytes.
pub const SECRET_BYTES_MAX: usize = 16 << 10;

/// Length of the configuration file, of one policy file or of one file with prices, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files with prices.
pub const PRICES_FILES_MAX: usize = 16;

/// Files with authorities.
pub const AUTHORITIES_FILES_MAX: usize = 16;

/// Length of one file with authorities, in bytes: all that the web trusts take a quarter of it.
pub const AUTHORITIES_BYTES_MAX: u64 = 1 << 20;

/// Names that the configuration leads somewhere.
pub const NAMES_LED_MAX: usize = 1_000;

/// Addresses that one of them leads to.
pub const ADDRESSES_OF_NAME_MAX: usize = 16;

/// Files and folders below something that a sandbox shows, looked at for sockets and pipes.
pub const SHOWN_ENTRIES_LOOKED_AT_MAX: usize = 4_096;

/// Folders of them that are looked into: the nearest.
pub const SHOWN_FOLDERS_LOOKED_INTO_MAX: usize = 256;

/// Policy files of one workspace.
pub const POLICY_FILES_MAX: usize = 100;

/// The longest retention, wait or limit that can be written, in days.
pub const DURATION_DAYS_MAX: u64 = 3650;

/// Length of a request's body, in bytes: an approval with narrowed arguments is the largest.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// What a run that is started may be given to read, in bytes.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// How long a request's body may take to arrive.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be idle, and the head of a request may take to arrive: both together.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// For how long a client may take no byte of an answer that is ready for it.
pub const WRITE_STALL: Duration = Duration::from_secs(20);

/// Connections of operators at once, by TCP.
pub const TCP_CONNECTIONS_MAX: usize = 256;

/// Connections of operators at once, by the socket; those on TCP take none of these.
pub const SOCKET_CONNECTIONS_MAX: usize = 64;

/// Entries in one page, at most and unless asked.
pub const PAGE_MAX: usize = 1000;

/// Followers of the log and of runs at once.
pub const FOLLOWERS_MAX: usize = 128;

/// Runs that are started here at once; the others wait.
pub const RUNS_AT_ONCE: usize = 128;

/// How often files are looked at for changes.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long calls in flight may go on when the node is asked to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Length of a person's reason or note, in bytes.
pub const NOTE_BYTES_MAX: usize = 2000;
