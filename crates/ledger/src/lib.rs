//! The log: append, derive tiles, prove, verify, export.

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
mod session;
mod shared;
mod tree;
mod verify;
mod wal;
mod writer;

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
pub use session::{Room, Session};
pub use tree::{InclusionProof, ProofError};
pub use verify::{Broken, Report, VerifyError, VerifyOptions, verify};
