//! The log, asked about.

use ringfence_json::Object;
use ringfence_types::ActionId;

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use crate::audit::{Books, BooksError, EntryText, FILTER_FIELDS, Filter, FilterError};

impl From<BooksError> for Problem {
    fn from(error: BooksError) -> Self {
        let problem = Self::unavailable(error.to_string());
        match error {
            // These say themselves what to do.
            BooksError::Behind { .. } | BooksError::NoIndex => problem,
            _ => problem.hint("`ringfence audit verify` says what is wrong with the log"),
        }
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        Self::wrong(error.to_string())
    }
}

/// Entries with their payloads in one page: a payload can be large.
const PAYLOADS_PAGE_MAX: usize = 50;

/// The filter of a query.
pub(super) fn filter(call: &Call) -> Result<Filter, Problem> {
    let mut filter = Filter::default();
    for name in FILTER_FIELDS {
        if let Some(text) = call.asked(name) {
            filter.set(name, text)?;
        }
    }
    Ok(filter)
}

/// Reads the log away from the threads that serve: it may be a long way through files.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BooksError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Problem::unavailable("the log could not be read")),
    }
}

pub(in crate::api) async fn entries(call: Call) -> Result<Answer, Problem> {
    let filter = filter(&call)?;
    let from: Option<u64> = call.asked_as("from")?;
    let before: Option<u64> = call.asked_as("before")?;
    let is_newest = call.asked_as::<bool>("newest")?.unwrap_or(false);
    if from.is_some() && is_newest || before.is_some() && !is_newest {
        return Err(Problem::wrong("`before` goes with `newest=true`, and `from` without it"));
    }
    let limit = call.limit()?;
    let payloads = call.asked_as::<bool>("payloads")?.unwrap_or(false);
    let limit = if payloads { limit.min(PAYLOADS_PAGE_MAX) } else { limit };
    let books = call.desk.books.clone();
    let shown = blocking(move || {
        let show = |entry: EntryText| {
            if payloads { with_payloads(&books, entry) } else { entry.object }
        };
        let shown = |entries: Vec<EntryText>| entries.into_iter().map(show).collect::<Vec<Object>>();
        if is_newest {
            let found = books.newest(&filter, before.unwrap_or(u64::MAX), limit)?;
            let entries = shown(found.entries);
            return Ok(Object::new().with("entries", entries).with_some("previous", found.previous));
        }
        let page = books.page(&filter, from.unwrap_or(0), limit)?;
        Ok(Object::new().with("entries", shown(page.entries)).with_some("next", page.next))
    });
    shown.await.map(Answer::Document)
}

pub(in crate::api) async fn entry(call: Call) -> Result<Answer, Problem> {
    let id: u64 = call.part("entry")?;
    let books = call.desk.books.clone();
    let found = blocking(move || {
        let page = books.page(&Filter::default(), id, 1)?;
        let entry = page.entries.into_iter().find(|entry| entry.id == id);
        Ok(entry.map(|entry| with_payloads(&books, entry)))
    });
    let found = found.await?;
    found.map(Answer::Document).ok_or_else(|| Problem::unknown(format!("the log has no entry {id} yet")))
}

pub(in crate::api) async fn action(call: Call) -> Result<Answer, Problem> {
    let id: ActionId = call.part("action")?;
    let books = call.desk.books.clone();
    let found = blocking(move || {
        let entries = books.of_action(id)?.into_iter();
        Ok(entries.map(|entry| with_payloads(&books, entry)).collect::<Vec<Object>>())
    });
    let found = found.await?;
    if found.is_empty() {
        return Err(Problem::unknown(format!("the log has no action {id}")));
    }
    Ok(Answer::Document(Object::new().with("action", id.to_string()).with("entries", found)))
}

pub(in crate::api) async fn checkpoint(call: Call) -> Result<Answer, Problem> {
    let books = call.desk.books.clone();
    let note = blocking(move || books.checkpoint()).await?;
    Ok(Answer::Text("text/plain; charset=utf-8", note))
}

/// An entry and what is still kept of its payloads.
fn with_payloads(books: &Books, entry: EntryText) -> Object {
    let payloads = books.payloads_of(&entry);
    Object::new().with("entry", entry.object).with("payloads", payloads)
}
