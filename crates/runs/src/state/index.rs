//! Which versions there are of what an agent keeps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_types::{Digest, RunId, Timestamp};

use super::seal::damaged;

/// The name of the file with the index, in the agent's folder.
const INDEX: &str = "index.json";

/// One version of what an agent keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateVersion {
    /// Its number; none is used twice.
    pub number: u64,
    /// When it was kept.
    pub at: Timestamp,
    /// The run that left it.
    pub run: Option<RunId>,
    /// How that run ended, in one word; of one that was restored, `restored`.
    pub why: String,
    /// The version that was restored as this one.
    pub from: Option<u64>,
    /// Bytes that its files hold.
    pub bytes: u64,
    /// Files, folders and links.
    pub names: u64,
    /// Of the file that holds it.
    pub digest: Digest,
}

/// The versions, oldest first, and the number of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub versions: Vec<StateVersion>,
    pub next: u64,
}

// === impl Index ===

impl Index {
    /// As it stands in an agent's folder; empty where there is none.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join(INDEX);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { versions: Vec::new(), next: 1 });
            }
            Err(error) => return Err(error),
        };
        let object = parse(&text, &Limits::default()).ok().and_then(Value::into_object);
        let index = object.as_ref().and_then(Self::of);
        index.ok_or_else(|| damaged(&format!("{} cannot be understood", path.display())))
    }

    fn of(object: &Object) -> Option<Self> {
        let versions = object.get("versions")?.as_array()?.iter();
        let versions: Option<Vec<_>> =
            versions.map(|version| StateVersion::read(version.as_object()?)).collect();
        Some(Self { versions: versions?, next: object.get("next")?.as_u64()? })
    }

    /// Puts it in the place of the one before, at once and durable.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let versions: Vec<Object> = self.versions.iter().map(StateVersion::to_object).collect();
        let text = Value::Object(Object::new().with("next", self.next).with("versions", versions)).to_bytes();
        let unfinished = folder.join("index.new");
        let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
        let mut file = options.open(&unfinished)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(INDEX))?;
        File::open(folder)?.sync_all()
    }

    pub(super) fn find(&self, number: u64) -> Option<&StateVersion> {
        self.versions.iter().find(|version| version.number == number)
    }
}

// === impl StateVersion ===

impl StateVersion {
    /// As an object: in the index, and for programs.
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("version", self.number)
            .with("at", self.at)
            .with_some("run", self.run.map(|run| run.to_string()))
            .with("why", self.why.as_str())
            .with_some("from", self.from)
            .with("bytes", self.bytes)
            .with("names", self.names)
            .with("sha256", self.digest.to_string())
    }

    fn read(object: &Object) -> Option<Self> {
        let number = |name: &str| object.get(name)?.as_u64();
        let run = match object.text("run") {
            Some(run) => Some(run.parse().ok()?),
            None => None,
        };
        Some(Self {
            number: number("version")?,
            at: object.text("at")?.parse().ok()?,
            run,
            why: object.text("why")?.to_owned(),
            from: number("from"),
            bytes: number("bytes")?,
            names: number("names")?,
            digest: object.text("sha256")?.parse().ok()?,
        })
    }
}
