//! Payloads: arguments and results, beside the log and named in it.
//!
//! A payload is stored as a header (version, algorithm, length, nonce) and its content. Its name is the SHA-256 of all
//! that; the random nonce keeps equal payloads from showing. An entry names the payloads that were stored with it in
//! its member `payloads`: `[{class, name, size}]`.
//!
//! Each class has a folder of append-only segments. A class is what is kept equally long: a workspace, or a
//! retention such as `180d`. Segments begin with the id of the entry at which they were begun, so that payloads are found by entry
//! without an index, and whole segments can be pruned when everything in them is old enough.

mod book;
mod files;
mod prune;
mod read;
mod stored;

pub use prune::Pruned;
pub use read::Payload;
pub use stored::{PayloadClass, PayloadClassError, SealedPayload};

pub(crate) use book::Book;
pub(crate) use files::{
    ClassFile, MARK_BYTES_MAX, Syncer, append_all, decode_marks, encode_marks, mark_holds,
};
pub(crate) use prune::{is_begun_before, prune};
pub(crate) use read::{ClassIndex, Records, classes_of, payload_of};
pub(crate) use stored::{Segment, content_of, segments_of};
