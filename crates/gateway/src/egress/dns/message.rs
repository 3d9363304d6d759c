//! Queries and answers of the domain name system (RFC 1035 §4), as far as a sandbox needs them.
//!
//! One question, no compression, EDNS(0) tolerated (RFC 6891): what resolvers of C libraries send. Everything else is
//! answered with an error or not at all.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of an answer over UDP that everybody takes (RFC 1035 §4.2.1); ours are never longer.
pub(crate) const UDP_BYTES_MAX: usize = 512;

const HEADER_BYTES: usize = 12;
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 255;

/// How long an address may be kept inside: it never changes during a run.
const TIME_TO_LIVE_S: u32 = 60;

/// Bytes of UDP that we take, as EDNS(0) says it (RFC 9715 recommends this many).
const EDNS_BYTES: u16 = 1_232;

const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;
/// Extended errors: the option, and "Prohibited" (RFC 8914).
const OPTION_EXTENDED_ERROR: u16 = 15;
const PROHIBITED: u16 = 18;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The name of an address.
    Ptr,
    /// Everything there is (RFC 8482 lets it be refused).
    Any,
    /// Anything else that has an answer, which is empty here: HTTPS and SVCB, MX, TXT.
    Other,
    /// A whole zone, or what is no type of data.
    Meta,
}

/// A query that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    id: u16,
    recursion_desired: bool,
    /// The question as it was written: its letters' case comes back in the answer.
    question: Vec<u8>,
    edns: bool,
    /// The name, with dots between its labels and no final one; `None` when it has bytes that no host's name has.
    pub(crate) name: Option<String>,
    /// The same for the record, with an underscore for each such byte.
    pub(crate) shown: String,
    /// Bytes of its longest label.
    pub(crate) label_bytes: usize,
    /// What is asked for.
    pub(crate) kind: Kind,
}

/// What a message is, that is not a [`Query`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    /// Not a question at all; to answer it could go on forever.
    Silence,
    /// Answered with the error alone.
    Error(u16, Rcode),
}

/// How a query went (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rcode {
    /// It has an answer, which may be empty.
    NoError = 0,
    /// It cannot be read.
    FormErr = 1,
    /// There is no such name.
    NxDomain = 3,
    /// Another kind of message.
    NotImp = 4,
    /// We do not answer that.
    Refused = 5,
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A name.
    Ptr(String),
}

// === impl Query ===

impl Query {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is no query that could be answered.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Unanswerable> {
        let mut reader = Reader(message);
        let (Some(id), Some(flags)) = (reader.u16(), reader.u16()) else { return Err(Unanswerable::Silence) };
        if flags & 0x8000 != 0 {
            return Err(Unanswerable::Silence);
        }
        if flags & 0x7800 != 0 {
            return Err(Unanswerable::Error(id, Rcode::NotImp));
        }
        Self::parse_rest(message, reader, id, flags).ok_or(Unanswerable::Error(id, Rcode::FormErr))
    }

    fn parse_rest(message: &[u8], mut reader: Reader<'_>, id: u16, flags: u16) -> Option<Self> {
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let [1, 0, 0, additional @ (0 | 1)] = counts else { return None };
        let name = reader.name()?;
        let (kind, class) = (reader.u16()?, reader.u16()?);
        let question = message[HEADER_BYTES..message.len() - reader.0.len()].to_vec();
        if additional == 1 {
            reader.edns()?;
        }
        if !reader.0.is_empty() {
            return None;
        }
        let kind = if class == CLASS_IN { Kind::of(kind) } else { Kind::Meta };
        Some(Self {
            id,
            recursion_desired: flags & 0x0100 != 0,
            question,
            edns: additional == 1,
            label_bytes: name.label_bytes,
            name: name.is_plain.then(|| name.text.clone()),
            shown: name.text,
            kind,
        })
    }

    /// The answer to it; `why` goes with an error, to those who understand it.
    pub(crate) fn answer(&self, rcode: Rcode, records: &[Data], why: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(UDP_BYTES_MAX);
        let recursion = if self.recursion_desired { 0x0180 } else { 0x0080 };
        put(&mut out, self.id);
        put(&mut out, 0x8400 | recursion | rcode as u16);
        put(&mut out, 1);
        put(&mut out, u16::try_from(records.len()).unwrap_or(u16::MAX));
        put(&mut out, 0);
        put(&mut out, u16::from(self.edns));
        out.extend_from_slice(&self.question);
        for record in records {
            record.write(&mut out);
        }
        if self.edns {
            write_edns(&mut out, why);
        }
        out
    }
}

/// The answer that says no more than the error.
pub(crate) fn bare_error(id: u16, rcode: Rcode) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    put(&mut out, id);
    put(&mut out, 0x8080 | rcode as u16);
    out.resize(HEADER_BYTES, 0);
    out
}

fn put(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn write_edns(out: &mut Vec<u8>, why: Option<&str>) {
    out.push(0);
    put(out, TYPE_OPT);
    put(out, EDNS_BYTES);
    out.extend_from_slice(&[0; 4]);
    // As much of it as leaves the answer under what everybody takes.
    let room = UDP_BYTES_MAX.saturating_sub(out.len() + 8);
    let why = why.map(|why| &why.as_bytes()[..why.len().min(room)]);
    let Some(why) = why else { return put(out, 0) };
    let length = u16::try_from(why.len()).unwrap_or(0);
    put(out, length + 6);
    put(out, OPTION_EXTENDED_ERROR);
    put(out, length + 2);
    put(out, PROHIBITED);
    out.extend_from_slice(why);
}

// === impl Kind ===

impl Kind {
    fn of(number: u16) -> Self {
        match number {
            1 => Self::A,
            12 => Self::Ptr,
            28 => Self::Aaaa,
            255 => Self::Any,
            // OPT stands in no question; transfers and the like are no data (RFC 6895 §3.1).
            0 | TYPE_OPT | 249..=254 => Self::Meta,
            _ => Self::Other,
        }
    }
}

// === impl Data ===

impl Data {
    fn write(&self, out: &mut Vec<u8>) {
        // The name is that of the question, which begins behind the header.
        put(out, 0xc00c);
        let (kind, data) = match self {
            Self::A(address) => (1, address.octets().to_vec()),
            Self::Aaaa(address) => (28, address.octets().to_vec()),
            Self::Ptr(name) => (12, labels(name)),
        };
        put(out, kind);
        put(out, CLASS_IN);
        out.extend_from_slice(&TIME_TO_LIVE_S.to_be_bytes());
        put(out, u16::try_from(data.len()).unwrap_or(0));
        out.extend_from_slice(&data);
    }
}

/// A name as labels. Names of hosts have none that is too long.
fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

struct Name {
    /// With an underscore for each byte that no host's name has.
    text: String,
    is_plain: bool,
    label_bytes: usize,
}

// === impl Name ===

impl Name {
    fn push(&mut self, label: &[u8]) {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        self.is_plain &= label.iter().all(fits);
        self.label_bytes = self.label_bytes.max(label.len());
        if !self.text.is_empty() {
            self.text.push('.');
        }
        let shown = |byte: &u8| if fits(byte) { char::from(byte.to_ascii_lowercase()) } else { '_' };
        self.text.extend(label.iter().map(shown));
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn name(&mut self) -> Option<Name> {
        let mut name = Name { text: String::new(), is_plain: true, label_bytes: 0 };
        let mut bytes = 1;
        loop {
            let length = usize::from(self.take(1)?[0]);
            if length == 0 {
                return Some(name);
            }
            bytes += length + 1;
            // Longer ones are pointers, which a question does not need.
            if length > LABEL_BYTES_MAX || bytes > NAME_BYTES_MAX {
                return None;
            }
            name.push(self.take(length)?);
        }
    }

    /// The one record that may follow a question.
    fn edns(&mut self) -> Option<()> {
        let (root, kind) = (self.take(1)?[0], self.u16()?);
        if root != 0 || kind != TYPE_OPT {
            return None;
        }
        self.take(6)?;
        let length = self.u16()?;
        self.take(usize::from(length)).map(drop)
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
