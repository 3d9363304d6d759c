//! The log: append, derive tiles, prove, verify, export.

mod batch;
mod check;
mod disk;
mod entry;
mod error;
mod frame;
mod ledger;
pub mod limits;
mod lock;
mod payload;
mod queue;
mod reader;
mod scanner;
mod session;
mod shared;
mod wal;
mod writer;

pub use batch::Ticket;
pub use check::{EntryError, EntryView, PayloadRef, check_entry, payload_refs};
pub use disk::Faults;
pub use entry::{Draft, ENTRY_VERSION};
pub use error::{AppendError, Damage, FileError, Lost, OpenError, ReadError, SealError};
pub use ledger::{Ledger, Options, Recovery, Space};
pub use payload::{PayloadClass, PayloadClassError, SealedPayload};
pub use queue::RoomFor;
pub use reader::{Entry, Reader};
pub use session::{Room, Session};
