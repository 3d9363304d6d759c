//! Relational state: the index of the log.
//!
//! The log is the truth; the index answers questions about it quickly and can be thrown away at any time. It reads only
//! durable entries, remembers of which log it is, and is built again from the beginning when that is another one.
//!
//! - [`Index`] belongs to the node: it follows the log ([`Index::step`], [`Index::catch_up`]).
//! - [`IndexReader`] asks ([`Query`], [`Row`], [`Count`]); several may, also from another process, while the node writes.
//! - [`SpendQuery`] asks what model calls came to, by whom and when ([`Spend`]).
//! - [`scan`] answers the same [`Query`] from the entries alone, where there is no index.
//! - [`Fetcher`] gets the bytes of the entries that rows name.
//!
//! All SQL stands in two modules, so that another database can take its place.

mod call;
mod counts;
mod database;
mod error;
mod fetch;
mod fields;
mod index;
pub mod limits;
mod mark;
mod members;
mod query;
mod reader;
mod row;
mod rows;
mod scan;
mod spend;
mod spend_sql;
mod sql;
mod words;
mod writer;

pub use counts::Count;
pub use error::{EntryFault, StoreError};
pub use fetch::Fetcher;
pub use index::{Index, Progress, Rebuilt};
pub use query::Query;
pub use reader::IndexReader;
pub use row::Row;
pub use rows::Rows;
pub use scan::{Found, scan};
pub use spend::{BasisSum, By, Spend, SpendQuery, SpendRow, SpendSum};
