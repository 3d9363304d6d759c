//! From the node to the spawner.

use std::ffi::OsString;
use std::path::PathBuf;

use super::codec::{Reader, WireError, Writer};
use crate::command::Limits;
use crate::layer::LayerName;

/// What the node asks of the spawner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The first message, once.
    Hello(Hello),
    /// Start a child; the packet carries its standard input, output and error.
    Spawn { id: u64, order: Box<Order> },
    /// Tell a child to end, or end it.
    Signal { id: u64, kind: SignalKind },
}

/// What holds for every child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Paths that no child may see.
    pub(crate) hidden: Vec<PathBuf>,
    /// Where private homes are made.
    pub(crate) temporary: PathBuf,
}

/// A command as the spawner gets it: the environment complete but for `HOME` and `TMPDIR`.
#[derive(PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) required: Vec<LayerName>,
    pub(crate) limits: Limits,
}

/// How a child is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SignalKind {
    /// SIGTERM to its process group.
    Terminate = 1,
    /// The end of everything in its sandbox, at once.
    Kill = 2,
}

const HELLO: u8 = 1;
const SPAWN: u8 = 2;
const SIGNAL: u8 = 3;

// === impl Request ===

impl Request {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => {
                let mut w = Writer::new(HELLO);
                w.list(&hello.hidden, |w, path| w.bytes(path.as_os_str()));
                w.bytes(hello.temporary.as_os_str());
                w.finish()
            }
            Self::Spawn { id, order } => {
                let mut w = Writer::new(SPAWN);
                w.number(*id);
                order.write(&mut w);
                w.finish()
            }
            Self::Signal { id, kind } => {
                let mut w = Writer::new(SIGNAL);
                w.number(*id);
                w.byte(*kind as u8);
                w.finish()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let request = match r.byte()? {
            HELLO => Self::Hello(Hello { hidden: r.list(Reader::path)?, temporary: r.path()? }),
            SPAWN => Self::Spawn { id: r.number()?, order: Box::new(Order::read(&mut r)?) },
            SIGNAL => Self::Signal { id: r.number()?, kind: SignalKind::from_code(r.byte()?)? },
            _ => return Err(WireError("an unknown request")),
        };
        r.finish(request)
    }
}

// === impl Order ===

impl Order {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.program);
        w.list(&self.arguments, |w, argument| w.bytes(argument));
        w.optional(self.directory.as_ref(), |w, path| w.bytes(path.as_os_str()));
        w.list(&self.environment, |w, (name, value)| {
            w.bytes(name);
            w.bytes(value);
        });
        w.list(&self.hidden, |w, path| w.bytes(path.as_os_str()));
        w.list(&self.required, |w, name| w.byte(*name as u8));
        w.optional(self.limits.open_files.as_ref(), |w, limit| w.number(*limit));
        w.optional(self.limits.processes.as_ref(), |w, limit| w.number(*limit));
        w.number(self.limits.home_bytes);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            program: r.bytes()?,
            arguments: r.list(Reader::bytes)?,
            directory: r.optional(Reader::path)?,
            environment: r.list(|r| Ok((r.bytes()?, r.bytes()?)))?,
            hidden: r.list(Reader::path)?,
            required: r.list(|r| LayerName::from_code(r.byte()?).ok_or(WireError("an unknown layer")))?,
            limits: Limits {
                open_files: r.optional(Reader::number)?,
                processes: r.optional(Reader::number)?,
                home_bytes: r.number()?,
            },
        })
    }
}

/// Arguments and environment may hold credentials.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("program", &self.program).finish_non_exhaustive()
    }
}

// === impl SignalKind ===

impl SignalKind {
    fn from_code(code: u8) -> Result<Self, WireError> {
        match code {
            1 => Ok(Self::Terminate),
            2 => Ok(Self::Kill),
            _ => Err(WireError("an unknown signal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        let order = Order {
            program: "npx".into(),
            arguments: vec!["-y".into(), OsString::new()],
            directory: Some("/srv".into()),
            environment: vec![("PATH".into(), "/bin".into())],
            hidden: vec!["/a".into()],
            required: vec![LayerName::Landlock],
            limits: Limits { open_files: Some(64), processes: None, home_bytes: 1 },
        };
        vec![
            Request::Hello(Hello { hidden: vec!["/var/lib/ringfence".into()], temporary: "/tmp".into() }),
            Request::Spawn { id: 7, order: Box::new(order) },
            Request::Signal { id: 7, kind: SignalKind::Kill },
            Request::Signal { id: u64::MAX, kind: SignalKind::Terminate },
        ]
    }

    #[test]
    fn requests_come_back_as_they_were() {
        for request in requests() {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn a_request_that_is_cut_or_longer_is_refused() {
        for request in requests() {
            let bytes = request.encode();
            for length in 0..bytes.len() {
                assert!(Request::decode(&bytes[..length]).is_err(), "{request:?} cut to {length}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Request::decode(&longer), Err(WireError("bytes left over")));
        }
    }

    #[test]
    fn unknown_codes_are_refused() {
        assert!(Request::decode(&[9]).is_err());
        assert!(Request::decode(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 3]).is_err());
    }
}
