//! What node, spawner and sandbox tell each other: one message per packet, fixed fields, lengths before bytes.

mod codec;
mod handover;
mod notice;
mod report;
mod request;
mod root;
mod socket;

pub(crate) use handover::{Handover, hand_over};
pub(crate) use notice::Notice;
pub(crate) use report::{Failure, Report, Step};
pub(crate) use request::{Hello, Order, Request, SignalKind};
pub(crate) use socket::{Packet, is_shortage, pair, receive, send, send_or_without, send_surely};
