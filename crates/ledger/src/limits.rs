//! Every bound of the log, with its unit.

/// The longest entry, in bytes: an entry bundle prefixes each with 16 bits of length (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// How deep the objects and arrays of an entry may nest.
pub const ENTRY_DEPTH_MAX: usize = 32;

/// The longest run of entries that is written and synced as one batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// How much may wait to be written before new actions are refused, in bytes. Outcomes with reserved room and
/// operators' entries are let in beyond it; their room bounds them.
pub const QUEUE_BYTES_MAX: u64 = 16 << 20;

/// Room that only operators' entries may use when the disk is full, in bytes; at most a quarter of a segment.
pub const OPERATOR_RESERVE_BYTES: u64 = 1 << 20;

/// The size of a segment of the write-ahead log unless the options say otherwise, in bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// The smallest segment the options may ask for, in bytes.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// The largest segment the options may ask for, in bytes.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// A payload segment that has grown to this is followed by another, in bytes, unless the options say otherwise.
pub const PAYLOAD_SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;

/// A payload segment that was begun longer ago than this is followed by another when its class is pruned, in
/// microseconds of log time.
pub const PAYLOAD_SEGMENT_AGE_MICROS: u64 = 24 * 3600 * 1_000_000;

/// The longest content of one payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;

/// How much disk is allocated ahead in each payload class, in bytes.
pub const PAYLOAD_AHEAD_BYTES: u64 = 12 << 20;

/// How many payload classes (retention classes) one log may have.
pub const PAYLOAD_CLASSES_MAX: usize = 64;

/// The longest name of a payload class, in bytes.
pub const PAYLOAD_CLASS_BYTES_MAX: usize = 64;

/// How many payloads one entry may carry.
pub const ENTRY_PAYLOADS_MAX: usize = 64;

/// How long to wait before asking again for space on a full disk, or for a disk that failed, in milliseconds.
pub const RETRY_MS: u64 = 200;

/// How often tiles and the checkpoint are brought up to date, in milliseconds.
pub const DERIVE_EVERY_MS: u64 = 1_000;

/// After how many entries the derived files are synced to disk; an opening after a crash derives at most this many
/// again.
pub const DERIVED_SYNC_ENTRIES: u64 = 65_536;

/// After how many seconds the derived files are synced to disk, if entries came.
pub const DERIVED_SYNC_SECONDS: u64 = 30;

/// The longest signed note that is read, in bytes.
pub const NOTE_BYTES_MAX: u64 = 64 << 10;
