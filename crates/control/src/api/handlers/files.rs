//! What runs left.

use std::io;

use ringfence_json::{Object, Value};
use ringfence_runs::OutputError;
use ringfence_sandbox::DriverName;
use ringfence_types::{Digest, EntryKind, RunId};

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use super::super::sending;
use super::audit::blocking;
use super::started::follower_place;
use crate::audit::{Books, BooksError, Filter};

/// The last entries about a run among which the one about its artifacts is: its end comes right behind.
const LAST_ENTRIES: usize = 32;

/// What the log says of what a run left.
struct Told {
    files: Vec<Object>,
    left_out: Vec<Object>,
    left_out_count: u64,
}

pub(in crate::api) async fn artifacts(call: Call) -> Result<Answer, Problem> {
    let run: RunId = call.part("run")?;
    let told = told(&call, run).await?;
    Ok(Answer::Document(
        Object::new()
            .with("run", run.to_string())
            .with("artifacts", told.files)
            .with("left_out", told.left_out)
            .with("left_out_count", told.left_out_count),
    ))
}

pub(in crate::api) async fn artifact(call: Call) -> Result<Answer, Problem> {
    let (run, name): (RunId, String) = (call.part("run")?, call.part("name")?);
    let place = follower_place(&call)?;
    let told = told(&call, run).await?;
    let file = told.files.iter().find(|file| file.text("name") == Some(name.as_str()));
    let file = file.ok_or_else(|| {
        let known = told.files.iter().filter_map(|file| file.text("name"));
        let near = ringfence_document::nearest(&name, known);
        let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Problem::unknown(format!("{run} left no `{}`{meant}", crate::shown::line(&name)))
            .hint("`ringfence runs artifacts RUN` lists what it left")
    })?;
    let digest = file.text("sha256").and_then(|text| text.parse::<Digest>().ok());
    let digest = digest.ok_or_else(|| Problem::unavailable("the log does not say what it was"))?;
    let content = call.desk.runs.artifact(run, digest).await.map_err(|error| match error {
        OutputError::Nothing => Problem::unknown("it is no longer kept")
            .hint("what runs left is kept as long as what they wrote: the workspace's `retention`"),
        OutputError::Read(error) if error.kind() == io::ErrorKind::InvalidData => {
            Problem::conflict(format!("what is on the disk is not given out: {error}"))
        }
        error @ OutputError::Read(_) => Problem::unavailable(error.to_string()),
    })?;
    let bytes = content.metadata().map_err(|error| Problem::unavailable(error.to_string()))?.len();
    Ok(Answer::Bytes(sending::file(content, place), Some(bytes)))
}

async fn told(call: &Call, run: RunId) -> Result<Told, Problem> {
    let books = call.desk.books.clone();
    let found = blocking(move || find(&books, run)).await?;
    match found {
        Some(object) => told_by(&object).ok_or_else(|| {
            Problem::unknown("the names of what it left are no longer kept")
                .hint("the workspace's `retention` says for how long payloads are")
        }),
        None if call.desk.runs.is_living(run) => {
            Err(Problem::conflict(format!("{run} has not ended, and what it leaves is collected at its end")))
        }
        None => Err(Problem::unknown(format!("{run} left nothing")).hint(why_nothing(call, run))),
    }
}

/// Where there is no `/agent/out`, nobody should be sent there.
fn why_nothing(call: &Call, run: RunId) -> &'static str {
    let life = call.desk.kernel.run(run).and_then(|view| view.life);
    let layers = life.and_then(|life| life.layers);
    let driver = layers.as_ref().and_then(|layers| layers.text("driver")).unwrap_or_default();
    // Its version follows.
    if driver.split(' ').next() == Some(DriverName::Restricted.as_str()) {
        "under `driver: restricted` there is no /agent/out; what is to stay goes into a folder of `mounts` that is `writable: true`"
    } else {
        "what a run writes to /agent/out is collected at its end, unless its agent has `limits: { artifacts: off }`"
    }
}

/// The entry about what a run left, with the names of all files.
fn find(books: &Books, run: RunId) -> Result<Option<Object>, BooksError> {
    let filter = Filter { kinds: vec![EntryKind::Run], run: Some(run), ..Filter::default() };
    let newest = books.newest(&filter, u64::MAX, LAST_ENTRIES)?;
    let entry =
        newest.entries.into_iter().rev().find(|entry| entry.object.text("event") == Some("artifacts"));
    Ok(entry.map(|entry| {
        let manifest = books.payloads_of(&entry).remove("manifest").and_then(Value::into_object);
        let names = manifest.iter().flat_map(Object::iter);
        names.fold(entry.object, |object, (name, value)| object.with(name.clone(), value.clone()))
    }))
}

fn told_by(object: &Object) -> Option<Told> {
    let list = |name: &str| {
        let elements = object.get(name).and_then(Value::as_array);
        elements.map(|elements| elements.iter().filter_map(Value::as_object).cloned().collect::<Vec<_>>())
    };
    let left_out_count = object.get("left_out_count").and_then(Value::as_u64).unwrap_or(0);
    Some(Told { files: list("artifacts")?, left_out: list("left_out").unwrap_or_default(), left_out_count })
}
