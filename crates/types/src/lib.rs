//! The vocabulary of Ringfence: what every other crate means by a run, an action, a decision, a refusal.
//!
//! Plain data with a text form. No clock, no randomness, no I/O: whoever makes an identifier or a timestamp brings
//! the time and the random bits along.

mod budget;
mod decision;
mod digest;
mod entry;
mod host;
mod id;
mod money;
mod name;
mod price;
mod principal;
mod quantity;
mod refusal;
mod scope;
mod time;
mod usage;

pub use budget::{Budget, Level, Window};
pub use decision::{ActionType, Decision, Kind, UnknownWord};
pub use digest::{Digest, DigestError, Hasher};
pub use entry::{EntryKind, UnknownEntryKind};
pub use host::{HOST_BYTES_MAX, HostName, HostNameError, LABEL_BYTES_MAX};
pub use id::{ActionId, ApprovalId, IdError, IncidentId, RunId, SuspensionId};
pub use money::{Money, MoneyError};
pub use name::{
    AgentName, ConversationName, ModelName, NAME_BYTES_MAX, NameError, NodeName, OrganizationName,
    PersonName, Role, RuleName, ServerName, ToolName, UserName, WorkspaceName,
};
pub use price::{CacheWrite, Price, Rates, Schedule, Unpriced, Worst};
pub use principal::{Builder, Principal};
pub use quantity::{QuantityError, Rate, format_duration, format_size, parse_duration, parse_size};
pub use refusal::{Code, Refusal, Shortfall, UnknownCode};
pub use scope::Scope;
pub use time::{Timestamp, TimestampError};
pub use usage::Usage;
