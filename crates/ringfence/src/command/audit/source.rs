//! Where entries come from: the node if one answers, else the log in its folder.

use ringfence_control::audit::{Books, EntryText, Filter};
use ringfence_json::{Object, Value};

use crate::cli::Global;
use crate::client::{Client, with_query};
use crate::failure::{Exit, Failure};
use crate::output::Progress;
use crate::show::objects;

/// Entries read at once from a folder.
const PAGE: usize = 1000;

/// The log, wherever it can be read.
pub enum Source {
    /// A node that runs.
    Node(Client),
    /// A folder whose node does not.
    Folder(Books),
}

/// Finds the log: a node that answers, else, unless one was named, the data folder.
pub async fn find(global: &Global) -> Result<Source, Failure> {
    let client = global.client()?;
    match client.get("/api/v1/whoami").await {
        Err(failure) if failure.exit() == Exit::Unreachable && global.node.is_none() => {
            let folder = global.folder()?;
            match Books::open(&folder) {
                Ok(books) => Ok(Source::Folder(books)),
                Err(error) => Err(failure.hint(format!("and without a node: {error}"))),
            }
        }
        Err(failure) => Err(failure),
        Ok(_) => Ok(Source::Node(client)),
    }
}

impl Source {
    /// How many entries there are; `None` when a node does not say.
    pub async fn size(&self) -> Option<u64> {
        match self {
            Self::Folder(books) => Some(books.size()),
            Self::Node(client) => {
                let status = client.get("/api/v1/status").await.ok()?;
                status.get("log")?.get("durable")?.as_u64()
            }
        }
    }

    /// Gives every entry asked for to `take`, in the order of the log.
    pub async fn each(
        &self,
        filter: &Filter,
        progress: &Progress,
        mut take: impl FnMut(&Object) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut count = 0;
        let mut from = Some(0);
        while let Some(at) = from {
            let (entries, next) = self.page(filter, at, false).await?;
            for entry in &entries {
                take(entry)?;
                count += 1;
            }
            progress.reached(next.unwrap_or(at));
            from = next;
        }
        Ok(count)
    }

    /// The newest `limit` entries asked for, in the order of the log, and whether there are older ones.
    pub async fn newest(&self, filter: &Filter, limit: u64) -> Result<(Vec<Object>, bool), Failure> {
        // One more says whether there are more.
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut pages: Vec<Vec<Object>> = Vec::new();
        let (mut count, mut before) = (0, None);
        while count < wanted {
            let (entries, previous) = self.page_before(filter, before, (wanted - count).min(PAGE)).await?;
            count += entries.len();
            pages.push(entries);
            before = previous;
            if before.is_none() {
                break;
            }
        }
        let mut all: Vec<Object> = pages.into_iter().rev().flatten().collect();
        let has_more = all.len() >= wanted;
        if has_more {
            all.drain(..=all.len() - wanted);
        }
        Ok((all, has_more))
    }

    /// As [`Source::each`], with the payloads that are still kept.
    pub async fn each_with_payloads(
        &self,
        filter: &Filter,
        progress: &Progress,
        mut take: impl FnMut(&Object, &Object) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let nothing = Object::new();
        let mut from = Some(0);
        while let Some(at) = from {
            let (found, next) = self.page(filter, at, true).await?;
            for both in &found {
                let part = |name: &str| both.get(name).and_then(Value::as_object).unwrap_or(&nothing);
                take(part("entry"), part("payloads"))?;
            }
            progress.reached(next.unwrap_or(at));
            from = next;
        }
        Ok(())
    }

    /// The newest before `before`, or of all, and where to go on towards the beginning.
    async fn page_before(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Object>, Option<u64>), Failure> {
        match self {
            Self::Node(client) => {
                let mut query: Vec<(&str, String)> = filter.parts();
                query.push(("newest", "true".to_owned()));
                query.extend(before.map(|before| ("before", before.to_string())));
                query.push(("limit", limit.to_string()));
                let query: Vec<_> = query.iter().map(|(name, text)| (*name, Some(text.as_str()))).collect();
                let page = client.get(&with_query("/api/v1/audit/entries", &query)).await?;
                let entries = objects(&page, "entries").into_iter().cloned().collect();
                Ok((entries, page.get("previous").and_then(Value::as_u64)))
            }
            Self::Folder(books) => {
                let found = books.newest(filter, before.unwrap_or(u64::MAX), limit);
                let found = found.map_err(|error| Failure::no(error.to_string()))?;
                Ok((found.entries.into_iter().map(|entry| entry.object).collect(), found.previous))
            }
        }
    }

    async fn page(
        &self,
        filter: &Filter,
        from: u64,
        payloads: bool,
    ) -> Result<(Vec<Object>, Option<u64>), Failure> {
        match self {
            Self::Node(client) => {
                let mut query: Vec<(&str, String)> = filter.parts();
                query.push(("from", from.to_string()));
                if payloads {
                    query.push(("payloads", "true".to_owned()));
                }
                let query: Vec<_> = query.iter().map(|(name, text)| (*name, Some(text.as_str()))).collect();
                let page = client.get(&with_query("/api/v1/audit/entries", &query)).await?;
                let entries = objects(&page, "entries").into_iter().cloned().collect();
                Ok((entries, page.get("next").and_then(Value::as_u64)))
            }
            Self::Folder(books) => {
                let page = books.page(filter, from, PAGE).map_err(|error| Failure::no(error.to_string()))?;
                let with_payloads = |entry: EntryText| {
                    let payloads = books.payloads_of(&entry);
                    Object::new().with("entry", entry.object).with("payloads", payloads)
                };
                let entries = page.entries.into_iter();
                let entries = if payloads {
                    entries.map(with_payloads).collect()
                } else {
                    entries.map(|entry| entry.object).collect()
                };
                Ok((entries, page.next))
            }
        }
    }
}
