//! The log of a node that runs, or of a folder whose node does not.

use std::path::{Path, PathBuf};

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_ledger::{Ledger, OpenError, Options, Payload, ReadError};
use ringfence_types::{ActionId, Digest, NodeName};

use super::Filter;
use super::read::{EntryText, entry_object};

/// Entries looked at in one page, whether asked for or not: what a page costs is bounded.
const LOOKED_AT_MAX: u64 = 200_000;

/// The log, for reading.
#[derive(Clone)]
pub struct Books {
    ledger: Ledger,
}

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// See there.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// Nothing there.
    #[error("there is no log in {}", .0.display())]
    NoLog(PathBuf),
    /// It cannot be opened, or a node has it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An entry that is no JSON.
    #[error("entry {0} of the log cannot be read; `ringfence audit verify` says more")]
    Entry(u64),
}

/// Some entries, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries asked for, in the order of the log.
    pub entries: Vec<EntryText>,
    /// From which entry to ask again; `None` at the end.
    pub next: Option<u64>,
    /// The first entry that was not looked at.
    pub reached: u64,
}

// === impl Books ===

impl Books {
    /// The books over this log.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The books in a data folder whose node does not run. Blocks.
    ///
    /// # Errors
    /// When there is no log, a node has it, or it is damaged.
    pub fn open(data: &Path) -> Result<Self, BooksError> {
        let folder = data.join("ledger");
        if !folder.join("wal").is_dir() {
            return Err(BooksError::NoLog(data.to_path_buf()));
        }
        #[expect(clippy::expect_used, reason = "the literal is a name: letters only")]
        let reader = NodeName::new("reader").expect("a literal name");
        let (ledger, _) = Ledger::open(&folder, Options::new(reader))?;
        Ok(Self { ledger })
    }

    /// How many entries are durable.
    pub fn size(&self) -> u64 {
        self.ledger.durable()
    }

    /// At most `limit` entries that `filter` asks for, from entry `from` on.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn page(&self, filter: &Filter, from: u64, limit: usize) -> Result<Page, BooksError> {
        let mut reader = self.ledger.read(from)?;
        let mut entries = Vec::new();
        let last = from.saturating_add(LOOKED_AT_MAX);
        while let Some((id, bytes)) = reader.read_next()? {
            let object = entry_object(bytes).ok_or(BooksError::Entry(id))?;
            if filter.matches(&object) {
                entries.push(EntryText { id, object });
            }
            let next = id + 1;
            if entries.len() >= limit || next >= last {
                return Ok(Page {
                    entries,
                    next: (next < self.ledger.durable()).then_some(next),
                    reached: next,
                });
            }
        }
        Ok(Page { entries, next: None, reached: reader.next_id() })
    }

    /// Everything that belongs to an action: what asked, was decided, approved and came of it, in the order of the
    /// log. Looks from the action's own time on, which its identifier holds.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn of_action(&self, action: ActionId) -> Result<Vec<EntryText>, BooksError> {
        let text = action.to_string();
        let mut found = Vec::new();
        let mut approvals: Vec<String> = Vec::new();
        for entry in self.ledger.read(0)? {
            let entry = entry?;
            let object = entry_object(&entry.bytes).ok_or(BooksError::Entry(entry.id))?;
            let of_approval =
                object.text("approval").is_some_and(|id| approvals.iter().any(|known| known == id));
            if object.text("action") == Some(&text) || of_approval && object.text("action").is_none() {
                let approval = object.text("approval").map(str::to_owned);
                approvals.extend(approval.filter(|approval| !approvals.contains(approval)));
                found.push(EntryText { id: entry.id, object });
            }
        }
        Ok(found)
    }

    /// An entry's payloads that are still there, by the member that names them.
    pub fn payloads_of(&self, entry: &EntryText) -> Object {
        let mut found = Object::new();
        for member in ["arguments", "final_arguments", "narrowed", "result"] {
            let name = entry.object.text(member).and_then(|text| text.parse::<Digest>().ok());
            if let Some(value) = name.and_then(|name| self.payload(entry.id, name)) {
                found.insert(member, value);
            }
        }
        found
    }

    /// The content of a payload: JSON if it is that, else text; `None` when it was pruned or never kept.
    fn payload(&self, entry: u64, name: Digest) -> Option<Value> {
        let content = match self.ledger.payload(entry, &name) {
            Ok(Some(Payload::Content(content))) => content,
            _ => return None,
        };
        let value = parse(&content, &Limits::default()).ok();
        value.or_else(|| Some(String::from_utf8_lossy(&content).into_owned().into()))
    }

    /// The newest signed checkpoint, over everything that is durable now.
    pub fn checkpoint(&self) -> String {
        self.ledger.derive();
        self.ledger.checkpoint()
    }

    /// The key that signs checkpoints, as `audit verify --key` takes it.
    pub fn verifier_key(&self) -> String {
        self.ledger.verifier_key().to_string()
    }
}
