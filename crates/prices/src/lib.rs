//! The prices of models: a table that ships, files that users keep, and what others publish.
//!
//! - [`shipped`]: what a model costs at its maker's own address, with who says so and since when;
//! - [`Table`]: a prices file, as `prices: [prices.yaml]` names one; the shipped tables are such files too;
//! - [`read_price`]: a price as people write it, in US dollars for a million tokens;
//! - [`import_litellm`]: the format that LiteLLM publishes, turned into a [`Table`].
//!
//! Every amount is read from the text as it is written, never through a float.

mod decimal;
mod known;
mod litellm;
mod name;
mod rates;
mod shipped;
mod table;
mod write;

pub use known::{Known, Tokenizer, UnknownTokenizer, Vendor};
pub use litellm::{ImportError, Imported, Remark, Skipped, import_litellm};
pub use name::undated;
pub use rates::{Said, read_price};
pub use shipped::{Listed, shipped, shipped_entries};
pub use table::{Entry, Table, is_day};
