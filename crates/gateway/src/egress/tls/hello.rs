//! What a client says first in TLS (RFC 8446 §4.1.2), read without taking part in it.

use ringfence_types::HostName;

/// The first byte of TLS (RFC 8446 §5.1, `handshake`).
pub(crate) const FIRST_BYTE: u8 = 22;

const RECORD_HEADER_BYTES: usize = 5;
const RECORD_BYTES_MAX: usize = 1 << 14;
const CLIENT_HELLO: u8 = 1;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// Extensions of one hello; real ones have about twenty.
const EXTENSIONS_MAX: usize = 128;

/// What of a client's first message decides where it may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The host it wants to speak to (RFC 6066 §3).
    pub(crate) server_name: Option<HostName>,
    /// Whether it offers HTTP/2 (RFC 7301).
    pub(crate) offers_h2: bool,
    /// Whether part of it is encrypted (RFC 9849), so that the real name may be another; many clients only pretend.
    pub(crate) encrypted: bool,
}

/// Why bytes are no such message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    /// The message goes on.
    #[error("the first message of TLS is not complete")]
    Incomplete,
    /// It cannot be read.
    #[error("the first message of TLS cannot be read: {0}")]
    Malformed(&'static str),
}

impl Hello {
    /// Reads what a client has sent so far. However it is cut into records, it reads the same.
    ///
    /// # Errors
    /// When more bytes are needed, or none could help.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, HelloError> {
        let mut rest = bytes;
        let mut message = Vec::new();
        loop {
            let record = take_record(&mut rest)?;
            message.extend_from_slice(record);
            let Some((header, body)) = message.split_at_checked(4) else { continue };
            if header[0] != CLIENT_HELLO {
                return Err(HelloError::Malformed("it is no ClientHello"));
            }
            let length = usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
            if let Some(body) = body.get(..length) {
                return Self::read(body).ok_or(HelloError::Malformed("its parts do not fit together"))?;
            }
        }
    }

    /// The message without its header. `None` where it ends too early or goes on too long.
    fn read(body: &[u8]) -> Option<Result<Self, HelloError>> {
        let mut body = Reader(body);
        // Version and random.
        body.take(2 + 32)?;
        // Session, cipher suites, compression.
        body.take_sized_8()?;
        body.take_sized_16()?;
        body.take_sized_8()?;
        if body.0.is_empty() {
            // Before extensions were thought of.
            return Some(Ok(Self::default()));
        }
        let mut extensions = Reader(body.take_sized_16()?);
        if !body.0.is_empty() {
            return None;
        }
        let (mut hello, mut seen) = (Self::default(), Vec::new());
        while !extensions.0.is_empty() {
            let (kind, data) = (extensions.u16()?, extensions.take_sized_16()?);
            if seen.contains(&kind) || seen.len() >= EXTENSIONS_MAX {
                return Some(Err(HelloError::Malformed(
                    "an extension stands in it twice, or there are too many",
                )));
            }
            seen.push(kind);
            if let Err(error) = hello.extend(kind, data)? {
                return Some(Err(error));
            }
        }
        Some(Ok(hello))
    }

    fn extend(&mut self, kind: u16, data: &[u8]) -> Option<Result<(), HelloError>> {
        match kind {
            SERVER_NAME => match server_name(data)? {
                Ok(name) => self.server_name = Some(name),
                Err(error) => return Some(Err(error)),
            },
            ALPN => self.offers_h2 = offers(data, b"h2")?,
            ENCRYPTED_CLIENT_HELLO => self.encrypted = true,
            _ => {}
        }
        Some(Ok(()))
    }
}

fn take_record<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], HelloError> {
    // What is there already can be wrong before it is complete.
    if rest.first().is_some_and(|first| *first != FIRST_BYTE) {
        return Err(HelloError::Malformed("something else comes first"));
    }
    if rest.get(1).is_some_and(|major| *major != 3) {
        return Err(HelloError::Malformed("it is not TLS"));
    }
    let (header, body) = rest.split_at_checked(RECORD_HEADER_BYTES).ok_or(HelloError::Incomplete)?;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    if length == 0 || length > RECORD_BYTES_MAX {
        return Err(HelloError::Malformed("a record is empty or too long"));
    }
    let (record, after) = body.split_at_checked(length).ok_or(HelloError::Incomplete)?;
    *rest = after;
    Ok(record)
}

fn server_name(data: &[u8]) -> Option<Result<HostName, HelloError>> {
    let mut data = Reader(data);
    let mut list = Reader(data.take_sized_16()?);
    let (kind, name) = (list.u8()?, list.take_sized_16()?);
    // One entry of the one kind there is.
    if kind != 0 || !list.0.is_empty() || !data.0.is_empty() {
        return None;
    }
    let name = std::str::from_utf8(name).ok().and_then(|name| HostName::new(name).ok());
    Some(name.ok_or(HelloError::Malformed("the server name in it is no host's")))
}

fn offers(data: &[u8], wanted: &[u8]) -> Option<bool> {
    let mut data = Reader(data);
    let mut list = Reader(data.take_sized_16()?);
    let mut found = false;
    while !list.0.is_empty() {
        found |= list.take_sized_8()? == wanted;
    }
    data.0.is_empty().then_some(found)
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn take_sized_8(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(count.into())
    }

    fn take_sized_16(&mut self) -> Option<&'a [u8]> {
        let count = self.u16()?;
        self.take(count.into())
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
