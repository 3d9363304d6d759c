//! The log: append, derive tiles, prove, verify.
//!
//! A folder holds one node's log:
//!
//! | file | what |
//! |---|---|
//! | `wal/NUMBER.wal` | the truth: entries in batches, each synced before the next is written |
//! | `payloads/CLASS/NUMBER.seg` | arguments and results, named by their SHA-256, pruned in whole segments |
//! | `tile/…`, `checkpoint` | derived: C2SP tlog-tiles and a signed checkpoint |
//! | `state` | derived: up to where tiles are known to be on disk |
//! | `key` | signs checkpoints; for its owner only |
//! | `key.pub` | its public half, for everybody |
//! | `lock` | held by the node that writes |
//!
//! [`Ledger`] opens it; a [`Session`] appends to one incarnation of it, and a [`Ticket`] says when an entry is durable.
//! A failed sync ends the incarnation: what was not durable is lost and said to be lost, and appenders begin again with
//! the next session. [`Room`] is space set aside, so that the outcome of what was begun can be written when the disk is
//! full. [`Archive`] reads a log that belongs to somebody else. [`verify()`] needs none of that: it reads a folder and says whether it is whole.

mod archive;
mod batch;
mod check;
mod derive;
mod disk;
mod durable_file;
mod entry;
mod error;
mod frame;
mod key;
mod ledger;
pub mod limits;
mod lock;
mod note;
mod payload;
mod queue;
mod reader;
mod scanner;
mod segment_check;
mod session;
mod shared;
mod tree;
mod verify;
mod wait;
mod wal;
mod writer;

pub use archive::Archive;
pub use batch::Ticket;
pub use check::{EntryError, EntryView, PayloadRef, check_entry, payload_refs};
pub use disk::Faults;
pub use entry::{Draft, ENTRY_VERSION};
pub use error::{AppendError, Damage, FileError, Lost, OpenError, ReadError, SealError};
pub use ledger::{Ledger, Options, Recovery, Space};
pub use note::{Checkpoint, NoteError, VerifierKey};
pub use payload::{Payload, PayloadClass, PayloadClassError, Pruned, SealedPayload};
pub use queue::RoomFor;
pub use reader::{Entry, Reader};
pub use segment_check::{SegmentError, SegmentSummary, check_segment};
pub use session::{Room, Session};
pub use tree::{InclusionProof, ProofError};
pub use verify::{Broken, Report, VerifyError, VerifyOptions, verify};
