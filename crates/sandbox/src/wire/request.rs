//! From the node to the spawner.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::codec::{Reader, WireError, Writer};
use super::root::{read_root, write_root};
use crate::command::Limits;
use crate::driver::Confinement;
use crate::layer::LayerName;
use crate::network::Network;
use crate::oci::{Kind, Runtime};
use crate::root::Root;
use crate::volume::Volume;

/// What the node asks of the spawner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The first message, once.
    Hello(Hello),
    /// Start a child; the packet carries its standard input, output and error.
    Spawn { id: u64, order: Box<Order> },
    /// Start the program of a child that is held.
    Execute { id: u64 },
    /// Tell a child to end, or end it.
    Signal { id: u64, kind: SignalKind },
    /// Say what a child uses.
    Measure { id: u64 },
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
    pub(crate) root: Option<Root>,
    pub(crate) network: Network,
    pub(crate) volumes: Vec<Volume>,
    /// If its program waits for [`Request::Execute`], for how long.
    pub(crate) hold: Option<Duration>,
    pub(crate) confinement: Confinement,
}

/// What a child is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalKind {
    /// SIGTERM to its process group.
    Terminate,
    /// The end of everything in its sandbox, at once.
    Kill,
    /// Any signal to its process group.
    Number(i32),
    /// Everything in its sandbox stops.
    Pause,
    /// And goes on.
    Resume,
}

const HELLO: u8 = 1;
const SPAWN: u8 = 2;
const SIGNAL: u8 = 3;
const MEASURE: u8 = 4;
const EXECUTE: u8 = 5;

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
            Self::Execute { id } => {
                let mut w = Writer::new(EXECUTE);
                w.number(*id);
                w.finish()
            }
            Self::Signal { id, kind } => {
                let mut w = Writer::new(SIGNAL);
                w.number(*id);
                kind.write(&mut w);
                w.finish()
            }
            Self::Measure { id } => {
                let mut w = Writer::new(MEASURE);
                w.number(*id);
                w.finish()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let request = match r.byte()? {
            HELLO => Self::Hello(Hello { hidden: r.list(Reader::path)?, temporary: r.path()? }),
            SPAWN => Self::Spawn { id: r.number()?, order: Box::new(Order::read(&mut r)?) },
            EXECUTE => Self::Execute { id: r.number()? },
            SIGNAL => Self::Signal { id: r.number()?, kind: SignalKind::read(&mut r)? },
            MEASURE => Self::Measure { id: r.number()? },
            _ => return Err(WireError("an unknown request")),
        };
        r.finish(request)
    }
}

// === impl Order ===

impl Order {
    pub(super) fn write(&self, w: &mut Writer) {
        w.bytes(&self.program);
        w.list(&self.arguments, |w, argument| w.bytes(argument));
        w.optional(self.directory.as_ref(), |w, path| w.bytes(path.as_os_str()));
        w.list(&self.environment, |w, (name, value)| {
            w.bytes(name);
            w.bytes(value);
        });
        w.list(&self.hidden, |w, path| w.bytes(path.as_os_str()));
        w.list(&self.required, |w, name| w.byte(*name as u8));
        write_limits(w, &self.limits);
        w.optional(self.root.as_ref(), write_root);
        w.byte(self.network as u8);
        w.list(&self.volumes, |w, volume| {
            w.bytes(volume.target.as_os_str());
            w.number(volume.bytes);
        });
        let milliseconds = self.hold.map(|hold| u64::try_from(hold.as_millis()).unwrap_or(u64::MAX));
        w.optional(milliseconds.as_ref(), |w, hold| w.number(*hold));
        write_confinement(w, &self.confinement);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            program: r.bytes()?,
            arguments: r.list(Reader::bytes)?,
            directory: r.optional(Reader::path)?,
            environment: r.list(|r| Ok((r.bytes()?, r.bytes()?)))?,
            hidden: r.list(Reader::path)?,
            required: r.list(|r| LayerName::from_code(r.byte()?).ok_or(WireError("an unknown layer")))?,
            limits: read_limits(r)?,
            root: r.optional(read_root)?,
            network: Network::from_code(r.byte()?).ok_or(WireError("an unknown network"))?,
            volumes: r.list(|r| Ok(Volume { target: r.path()?, bytes: r.number()? }))?,
            hold: r.optional(Reader::number)?.map(Duration::from_millis),
            confinement: read_confinement(r)?,
        })
    }

    /// An order that is never carried out, to find out what the machine gives: a sandbox is set up, and ends.
    pub(crate) fn trial(root: Option<Root>, network: Network, limits: Limits) -> Self {
        Self {
            program: OsString::new(),
            arguments: Vec::new(),
            directory: None,
            environment: Vec::new(),
            hidden: Vec::new(),
            required: Vec::new(),
            limits,
            root,
            network,
            volumes: Vec::new(),
            hold: None,
            confinement: Confinement::Local,
        }
    }
}

fn write_confinement(w: &mut Writer, confinement: &Confinement) {
    match confinement {
        Confinement::Local => w.byte(0),
        Confinement::Restricted => w.byte(1),
        Confinement::Container(Runtime { kind, path, version }) => {
            w.byte(2);
            w.byte(*kind as u8);
            w.bytes(path.as_os_str());
            w.text(version);
        }
    }
}

fn read_confinement(r: &mut Reader<'_>) -> Result<Confinement, WireError> {
    match r.byte()? {
        0 => Ok(Confinement::Local),
        1 => Ok(Confinement::Restricted),
        2 => Ok(Confinement::Container(Runtime {
            kind: Kind::from_code(r.byte()?).ok_or(WireError("an unknown runtime"))?,
            path: r.path()?,
            version: r.text()?,
        })),
        _ => Err(WireError("an unknown driver")),
    }
}

fn write_limits(w: &mut Writer, limits: &Limits) {
    w.optional(limits.open_files.as_ref(), |w, limit| w.number(*limit));
    w.optional(limits.processes.as_ref(), |w, limit| w.number(*limit));
    w.number(limits.home_bytes);
    w.optional(limits.memory_bytes.as_ref(), |w, limit| w.number(*limit));
    w.optional(limits.cpu_percent.as_ref(), |w, limit| w.number(u64::from(*limit)));
    w.optional(limits.file_bytes.as_ref(), |w, limit| w.number(*limit));
}

fn read_limits(r: &mut Reader<'_>) -> Result<Limits, WireError> {
    Ok(Limits {
        open_files: r.optional(Reader::number)?,
        processes: r.optional(Reader::number)?,
        home_bytes: r.number()?,
        memory_bytes: r.optional(Reader::number)?,
        cpu_percent: r
            .optional(|r| u32::try_from(r.number()?).map_err(|_| WireError("a share beyond its bound")))?,
        file_bytes: r.optional(Reader::number)?,
    })
}

/// Arguments and environment may hold credentials.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("program", &self.program).finish_non_exhaustive()
    }
}

// === impl SignalKind ===

impl SignalKind {
    fn write(self, w: &mut Writer) {
        let (code, number) = match self {
            Self::Terminate => (1, 0),
            Self::Kill => (2, 0),
            Self::Number(number) => (3, number),
            Self::Pause => (4, 0),
            Self::Resume => (5, 0),
        };
        w.byte(code);
        w.signed(number);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match (r.byte()?, r.signed()?) {
            (1, 0) => Ok(Self::Terminate),
            (2, 0) => Ok(Self::Kill),
            (3, number) => Ok(Self::Number(number)),
            (4, 0) => Ok(Self::Pause),
            (5, 0) => Ok(Self::Resume),
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
            limits: Limits {
                open_files: Some(64),
                home_bytes: 1,
                cpu_percent: Some(50),
                ..Limits::default()
            },
            root: Some(
                Root::system()
                    .read_only("/srv", "/a")
                    .writable("/srv", "/b")
                    .scratch("/c", 7)
                    .file("/d", [0, 255]),
            ),
            network: Network::Gateway,
            volumes: vec![Volume { target: "/v".into(), bytes: 9 }],
            hold: Some(Duration::from_millis(7)),
            confinement: Confinement::Container(Runtime {
                kind: Kind::Crun,
                path: "/usr/bin/crun".into(),
                version: "1.8.1".into(),
            }),
        };
        let plain = Order::trial(None, Network::Host, Limits::default());
        vec![
            Request::Hello(Hello { hidden: vec!["/var/lib/ringfence".into()], temporary: "/tmp".into() }),
            Request::Spawn { id: 7, order: Box::new(order) },
            Request::Spawn { id: 8, order: Box::new(plain) },
            Request::Signal { id: 7, kind: SignalKind::Kill },
            Request::Signal { id: 7, kind: SignalKind::Number(-12) },
            Request::Signal { id: 7, kind: SignalKind::Pause },
            Request::Signal { id: 7, kind: SignalKind::Resume },
            Request::Measure { id: 9 },
            Request::Execute { id: 9 },
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
        assert!(Request::decode(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0]).is_err());
    }
}
