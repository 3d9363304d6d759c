//! The log of a node that runs, or of a folder whose node does not.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_ledger::{Archive, Ledger, Payload, ReadError, Reader};
use ringfence_store::{Fetcher, Index, Progress, Query, Row, Spend, SpendQuery, StoreError};
use ringfence_types::{ActionId, Digest};

use super::Filter;
use super::answer::{BooksError, Newest, Page};
use super::read::{EntryText, entry_object};

/// Entries looked at in one page where there is no index, whether asked for or not: what a page costs is bounded.
const LOOKED_AT_MAX: u64 = 200_000;

/// Entries that are looked at first when the newest are asked for; each further look is at twice as many.
const LOOK_BACK: u64 = 1024;

/// How long an answer waits for an index that is being built.
const FOLLOW_MAX: Duration = Duration::from_secs(10);

/// The log, for reading. Everything here blocks. Clones share log and index.
#[derive(Clone)]
pub struct Books(Log);

/// Where the log is.
#[derive(Clone)]
enum Log {
    /// This node's own, and its index if that can be used.
    Own { ledger: Ledger, index: Option<Arc<Index>> },
    /// In a folder. Nothing there is changed, and a node may be using it.
    Folder(Archive),
}

// === impl Books ===

impl Books {
    /// The books over a log, with the index in the file `index`. Without one that can be used, the log itself is
    /// looked through.
    pub fn new(ledger: Ledger, index: &Path) -> Self {
        let index = Index::open(index).map(Arc::new);
        if let Err(error) = &index {
            tracing::warn!(%error, "questions to the log are answered without an index, slowly");
        }
        Self(Log::Own { ledger, index: index.ok() })
    }

    /// The books in a data folder, for reading alone: whether its node runs does not matter.
    ///
    /// # Errors
    /// When there is no log, or it is damaged where a crash cannot have damaged it.
    pub fn open(data: &Path) -> Result<Self, BooksError> {
        let folder = data.join("ledger");
        if !folder.join("wal").is_dir() {
            return Err(BooksError::NoLog(data.to_path_buf()));
        }
        Ok(Self(Log::Folder(Archive::open(&folder)?)))
    }

    /// How many entries are durable.
    pub fn size(&self) -> u64 {
        match &self.0 {
            Log::Own { ledger, .. } => ledger.durable(),
            Log::Folder(archive) => archive.size(),
        }
    }

    /// The log and its index, if there is one.
    fn own(&self) -> Option<(&Ledger, &Index)> {
        match &self.0 {
            Log::Own { ledger, index: Some(index) } => Some((ledger, index)),
            Log::Own { index: None, .. } | Log::Folder(_) => None,
        }
    }

    fn read(&self, from: u64) -> Result<Reader, ReadError> {
        match &self.0 {
            Log::Own { ledger, .. } => ledger.read(from),
            Log::Folder(archive) => Ok(archive.read(from)),
        }
    }

    /// Brings the index a step further; whether there is more to do.
    ///
    /// # Errors
    /// When log or index cannot be used.
    pub fn follow(&self) -> Result<bool, BooksError> {
        let Some((ledger, index)) = self.own() else { return Ok(false) };
        let progress: Progress = index.step(ledger)?;
        if let Some(why) = progress.rebuilt {
            tracing::info!(?why, "the index of the log is built again");
        }
        Ok(progress.behind)
    }

    /// The index, a step further, and how many entries it has. `None` where there is none, and while it cannot be
    /// written: when the disk is full, the log itself still has every answer.
    fn indexed(&self) -> Result<Option<(&Ledger, &Index, u64)>, BooksError> {
        let Some((ledger, index)) = self.own() else { return Ok(None) };
        match index.step(ledger) {
            Ok(progress) => Ok(Some((ledger, index, progress.size))),
            Err(error @ (StoreError::Database { .. } | StoreError::File { .. })) => {
                tracing::debug!(%error, "a question is answered without the index");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What model calls came to, with everything that was durable when this was asked; while the index cannot be
    /// written (the disk is full), up to where it is: the answer says so.
    ///
    /// # Errors
    /// When there is no index, it is still being built, or it cannot be used.
    pub fn spend(&self, query: &SpendQuery) -> Result<Spend, BooksError> {
        let (ledger, index) = self.own().ok_or(BooksError::NoIndex)?;
        let (goal, began) = (ledger.durable(), Instant::now());
        loop {
            match index.step(ledger) {
                Ok(progress) if progress.size >= goal => break,
                Ok(progress) if began.elapsed() > FOLLOW_MAX => {
                    return Err(BooksError::Behind { indexed: progress.size, durable: goal });
                }
                Ok(_) => std::thread::yield_now(),
                Err(error @ (StoreError::Database { .. } | StoreError::File { .. })) => {
                    tracing::debug!(%error, "what was spent is told without the last entries");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(index.spend(query)?)
    }

    /// At most `limit` entries that `filter` asks for, from entry `from` on.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn page(&self, filter: &Filter, from: u64, limit: usize) -> Result<Page, BooksError> {
        let Some((ledger, index, indexed)) = self.indexed()? else {
            return self.look_through(filter, from, limit);
        };
        if from >= indexed {
            return self.look_through(filter, from, limit);
        }
        let query = filter.query(from, limit);
        let mut fetcher = Fetcher::new(ledger);
        let (mut entries, mut rows, mut last) = (Vec::new(), 0, from);
        for row in index.query(&query)? {
            let entry = fetch(&mut fetcher, &row?)?;
            rows += 1;
            last = entry.id;
            if filter.matches(&entry.object) {
                entries.push(entry);
            }
        }
        if rows < limit {
            // The rest is behind the index.
            let rest = self.look_through(filter, indexed, limit - rows)?;
            entries.extend(rest.entries);
            return Ok(Page { entries, ..rest });
        }
        let reached = last + 1;
        Ok(Page { entries, next: (reached < self.size()).then_some(reached), reached })
    }

    /// The newest entries that `filter` asks for, at most `limit`, of those before entry `before`. Fewer than there are
    /// when too much had to be looked at: `previous` says where to go on.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn newest(&self, filter: &Filter, before: u64, limit: usize) -> Result<Newest, BooksError> {
        let first = before.min(self.size());
        let (mut end, mut span) = (first, LOOK_BACK);
        // The newest first.
        let mut found: Vec<EntryText> = Vec::new();
        while end > 0 && found.len() < limit && first - end < LOOKED_AT_MAX {
            let from = end.saturating_sub(span);
            let left = limit - found.len();
            found.extend(self.between(filter, from, end, left)?.into_iter().rev());
            (end, span) = (from, span.saturating_mul(2));
        }
        if found.len() >= limit {
            end = found.last().map_or(end, |oldest| oldest.id);
        }
        found.reverse();
        Ok(Newest { entries: found, previous: (end > 0).then_some(end) })
    }

    /// The last `limit` that `filter` asks for of the entries from `from` on and before `end`.
    fn between(
        &self,
        filter: &Filter,
        from: u64,
        end: u64,
        limit: usize,
    ) -> Result<VecDeque<EntryText>, BooksError> {
        let mut entries = VecDeque::new();
        let mut keep = |entry: EntryText| {
            if filter.matches(&entry.object) {
                entries.push_back(entry);
            }
            if entries.len() > limit {
                entries.pop_front();
            }
        };
        let mut rest = from;
        if let Some((ledger, index, indexed)) = self.indexed()? {
            let query = Query { before: Some(end), ..filter.query(from, usize::MAX) };
            let mut fetcher = Fetcher::new(ledger);
            for row in index.query(&query)? {
                keep(fetch(&mut fetcher, &row?)?);
            }
            rest = indexed.max(from);
        }
        if rest < end {
            let mut reader = self.read(rest)?;
            while let Some((id, bytes)) = reader.read_next()? {
                if id >= end {
                    break;
                }
                let object = entry_object(bytes).ok_or(BooksError::Entry(id))?;
                keep(EntryText { id, object });
            }
        }
        Ok(entries)
    }

    /// As [`Books::page`], reading the entries themselves: for the end of the log, and where there is no index.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn look_through(&self, filter: &Filter, from: u64, limit: usize) -> Result<Page, BooksError> {
        let mut reader = self.read(from)?;
        let mut entries = Vec::new();
        let last = from.saturating_add(LOOKED_AT_MAX);
        while let Some((id, bytes)) = reader.read_next()? {
            let object = entry_object(bytes).ok_or(BooksError::Entry(id))?;
            if filter.matches(&object) {
                entries.push(EntryText { id, object });
            }
            let reached = id + 1;
            if entries.len() >= limit || reached >= last {
                let next = (reached < self.size()).then_some(reached);
                return Ok(Page { entries, next, reached });
            }
        }
        Ok(Page { entries, next: None, reached: reader.next_id() })
    }

    /// Everything that belongs to an action: what asked, was decided, approved and came of it, in the order of the
    /// log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn of_action(&self, action: ActionId) -> Result<Vec<EntryText>, BooksError> {
        let mut found = Vec::new();
        let mut from = 0;
        if let Some((ledger, index, indexed)) = self.indexed()? {
            from = indexed;
            let mut fetcher = Fetcher::new(ledger);
            for row in index.entries_of(action)? {
                found.push(fetch(&mut fetcher, &row)?);
            }
        }
        found.extend(self.look_for(action, from, &found)?);
        Ok(found)
    }

    /// What belongs to an action from entry `from` on; `before` is what of it came earlier.
    fn look_for(
        &self,
        action: ActionId,
        from: u64,
        before: &[EntryText],
    ) -> Result<Vec<EntryText>, BooksError> {
        let text = action.to_string();
        let approval_of = |object: &Object| object.text("approval").map(str::to_owned);
        let mut approvals: Vec<String> =
            before.iter().filter_map(|entry| approval_of(&entry.object)).collect();
        let mut found = Vec::new();
        let mut reader = self.read(from)?;
        while let Some((id, bytes)) = reader.read_next()? {
            let object = entry_object(bytes).ok_or(BooksError::Entry(id))?;
            let approval = approval_of(&object);
            let is_answer =
                object.text("action").is_none() && approval.as_ref().is_some_and(|id| approvals.contains(id));
            if is_answer || object.text("action") == Some(&text) {
                approvals.extend(approval.filter(|approval| !approvals.contains(approval)));
                found.push(EntryText { id, object });
            }
        }
        Ok(found)
    }

    /// An entry's payloads that are still there, by the member that names them.
    pub fn payloads_of(&self, entry: &EntryText) -> Object {
        let mut found = Object::new();
        for member in ["arguments", "final_arguments", "narrowed", "result", "manifest"] {
            let name = entry.object.text(member).and_then(|text| text.parse::<Digest>().ok());
            if let Some(value) = name.and_then(|name| self.payload(entry.id, name)) {
                found.insert(member, value);
            }
        }
        found
    }

    /// The content of a payload: JSON if it is that, else text; `None` when it was pruned or never kept.
    fn payload(&self, entry: u64, name: Digest) -> Option<Value> {
        let found = match &self.0 {
            Log::Own { ledger, .. } => ledger.payload(entry, &name),
            Log::Folder(archive) => archive.payload(entry, &name),
        };
        let Ok(Some(Payload::Content(content))) = found else { return None };
        let value = parse(&content, &Limits::default()).ok();
        value.or_else(|| Some(String::from_utf8_lossy(&content).into_owned().into()))
    }

    /// The newest signed checkpoint; a node's own is over everything that is durable now.
    ///
    /// # Errors
    /// When it cannot be read, or nothing was signed yet.
    pub fn checkpoint(&self) -> Result<String, BooksError> {
        match &self.0 {
            Log::Own { ledger, .. } => {
                ledger.derive();
                Ok(ledger.checkpoint())
            }
            Log::Folder(archive) => archive.checkpoint()?.ok_or(BooksError::NoCheckpoint),
        }
    }

    /// The key that signs checkpoints, as `audit verify --key` takes it; `None` when a folder does not say.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn verifier_key(&self) -> Result<Option<String>, BooksError> {
        match &self.0 {
            Log::Own { ledger, .. } => Ok(Some(ledger.verifier_key().to_string())),
            Log::Folder(archive) => Ok(archive.verifier_key()?),
        }
    }
}

fn fetch(fetcher: &mut Fetcher<'_>, row: &Row) -> Result<EntryText, BooksError> {
    let bytes = fetcher.fetch(row.id)?;
    let object = entry_object(&bytes).ok_or(BooksError::Entry(row.id))?;
    Ok(EntryText { id: row.id, object })
}
