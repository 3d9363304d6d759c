//! Every bound of the index, with its unit.

/// How many entries are indexed in one transaction; what a crash makes the next start do again.
pub const BATCH_ENTRIES_MAX: u64 = 4_096;

/// How many rows a query holds in memory at a time.
pub const PAGE_ROWS: u64 = 256;

/// How many rows the story of one action or approval may have.
pub const STORY_ROWS_MAX: u64 = 1_000;

/// How many words and rule sets the writer remembers the numbers of; beyond it, it forgets all and starts over.
pub const WORDS_CACHED_MAX: usize = 4_096;

/// The longest word that is remembered, in bytes; longer ones are looked up each time.
pub const WORD_CACHED_BYTES_MAX: usize = 256;

/// The writer's page cache, in KiB.
pub const WRITER_CACHE_KIB: u32 = 4 << 10;

/// A reader's page cache, in KiB.
pub const READER_CACHE_KIB: u32 = 1 << 10;

/// How many connections for reading are kept open between queries.
pub const READERS_KEPT_MAX: usize = 2;

/// The size to which the database's own journal is cut back, in bytes.
pub const JOURNAL_BYTES_MAX: u64 = 8 << 20;

/// How long to wait for another process that holds the database, in milliseconds.
pub const BUSY_MS: u64 = 5_000;

/// How far [`crate::Fetcher`] reads on rather than seeking, in entries.
pub const FETCH_FORWARD_MAX: u64 = 256;
