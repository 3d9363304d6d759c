//! The log as people ask about it: entries by what they are about, actions with everything that belongs to them.

mod answer;
mod books;
mod filter;
mod read;

pub use answer::{BooksError, Newest, Page};
pub use books::Books;
pub use filter::{FILTER_FIELDS, Filter, FilterError};
pub use read::{EntryText, entry_object};
