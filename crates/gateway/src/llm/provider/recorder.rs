//! Records what a provider answers, while it passes.
//!
//! Nothing of it waits for a disk but the end of each answer: whoever has read an answer finds it in the recording. What
//! cannot be recorded passes all the same, and the log says so.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use ringfence_llm::error::redact;
use smol_str::SmolStr;
use tokio::task::JoinHandle;

use super::body::Body;
use super::recording::{
    Answer, EXCHANGE_BYTES_MAX, KEPT, Question, RECORDING_BYTES_MAX, RecordingError, write,
};
use crate::http::wires::{AnswerBody, WireError};
use crate::llm::call::Call;
use crate::llm::outgoing::Outgoing;
use crate::targets::Served;

/// Who may read a recording: nobody but the node's own user.
const MODE: u32 = 0o600;

/// Adds exchanges to a recording.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorder {
    path: PathBuf,
}

/// Why an exchange was not recorded.
#[derive(Debug, thiserror::Error)]
enum Unrecorded {
    #[error("it has more than {EXCHANGE_BYTES_MAX} bytes")]
    ExchangeTooLarge,
    #[error("the recording would have more than {RECORDING_BYTES_MAX} bytes; begin another")]
    TooLarge,
    #[error("what opens the provider stands in it")]
    Secret,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// An answer that is recorded while it passes.
#[derive(Debug)]
pub(crate) struct Recorded {
    body: AnswerBody,
    /// `None` once it is written or cannot be.
    take: Option<Box<Exchange>>,
    /// Under way: it is being written.
    writing: Option<JoinHandle<()>>,
    /// How it ended.
    end: Option<Result<(), WireError>>,
}

/// An exchange so far.
struct Exchange {
    recorder: Arc<Recorder>,
    question: Question,
    status: StatusCode,
    headers: HeaderMap,
    pieces: Vec<Bytes>,
    bytes: usize,
    secrets: Vec<SmolStr>,
}

// === impl Recorder ===

impl Recorder {
    /// A recorder into this file; what stands there stays. The file is made, for nobody else to read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let recorder = Self { path: path.to_owned() };
        recorder.file().map_err(|cause| RecordingError::Io { path: path.to_owned(), cause })?;
        Ok(recorder)
    }

    fn file(&self) -> std::io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(&self.path)?;
        if file.metadata()?.permissions().mode() & 0o777 != MODE {
            file.set_permissions(std::fs::Permissions::from_mode(MODE))?;
        }
        Ok(file)
    }

    /// Records an answer to a call.
    pub(super) fn watch(
        self: &Arc<Self>,
        call: &Call,
        served: &Served,
        outgoing: &Outgoing,
        response: Response<AnswerBody>,
    ) -> Response<Body> {
        let (head, body) = response.into_parts();
        let kept = KEPT.iter().filter_map(|name| Some((name.clone(), head.headers.get(name)?.clone())));
        let take = Question::of(call, served).map(|question| {
            Box::new(Exchange {
                recorder: Arc::clone(self),
                question,
                status: head.status,
                headers: kept.collect(),
                pieces: Vec::new(),
                bytes: 0,
                secrets: outgoing.secrets.clone(),
            })
        });
        let recorded = Recorded { body, take, writing: None, end: None };
        Response::from_parts(head, Body::Recorded(Box::new(recorded)))
    }

    /// Adds a line, whole or not at all. Others may write into the same file.
    fn add(&self, line: &[u8]) -> Result<(), Unrecorded> {
        let mut file = self.file()?;
        file.lock()?;
        let length = without_torn(&mut file)?;
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if length.saturating_add(bytes) > RECORDING_BYTES_MAX {
            return Err(Unrecorded::TooLarge);
        }
        let written = file.write_all(line).and_then(|()| file.sync_data());
        if let Err(error) = written {
            file.set_len(length)?;
            return Err(error.into());
        }
        Ok(())
    }
}

/// Takes out what an interrupted write has left at the end; gives the length.
fn without_torn(file: &mut File) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = length;
    let mut block = [0; 4_096];
    while at > 0 {
        let start = at.saturating_sub(4_096);
        let part = &mut block[..usize::try_from(at - start).unwrap_or(4_096)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(last) = part.iter().rposition(|byte| *byte == b'\n') {
            at = start + u64::try_from(last).unwrap_or(0) + 1;
            break;
        }
        at = start;
    }
    if at < length {
        file.set_len(at)?;
    }
    Ok(at)
}

// === impl Recorded ===

impl Recorded {
    /// The next part; at the end, once it is recorded.
    pub(super) async fn data(&mut self) -> Result<Option<Bytes>, WireError> {
        while self.end.is_none() {
            match self.body.data().await {
                Ok(Some(data)) => {
                    if let Some(take) = &mut self.take {
                        take.pass(&data);
                    }
                    return Ok(Some(data));
                }
                Ok(None) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
        if let Some(take) = self.take.take() {
            let broken = matches!(self.end, Some(Err(_)));
            self.writing = Some(tokio::task::spawn_blocking(move || take.write(broken)));
        }
        if let Some(writing) = &mut self.writing {
            // It says itself what went wrong.
            let _ = writing.await;
            self.writing = None;
        }
        match self.end {
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        }
    }

    pub(super) fn announced(&self) -> Option<u64> {
        self.body.announced()
    }
}

// === impl Exchange ===

impl Exchange {
    fn pass(&mut self, data: &Bytes) {
        self.bytes = self.bytes.saturating_add(data.len());
        // One that is too large is not kept only to be thrown away.
        if self.bytes <= EXCHANGE_BYTES_MAX {
            self.pieces.push(data.clone());
        } else {
            self.pieces.clear();
        }
    }

    fn write(self: Box<Self>, broken: bool) {
        let path = self.recorder.path.clone();
        match self.line(broken).and_then(|(recorder, line)| recorder.add(&line)) {
            Ok(()) => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "an exchange was not recorded"),
        }
    }

    fn line(self: Box<Self>, broken: bool) -> Result<(Arc<Recorder>, Vec<u8>), Unrecorded> {
        let Self { recorder, question, status, headers, pieces, bytes, secrets } = *self;
        if bytes > EXCHANGE_BYTES_MAX {
            return Err(Unrecorded::ExchangeTooLarge);
        }
        let known: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_bytes()).collect();
        // Providers repeat parts of a wrong key when they refuse it.
        let redacted = if status.is_success() { None } else { redact(&pieces.concat(), &known) };
        let pieces = redacted.map_or(pieces, |redacted| vec![redacted.into()]);
        let line = write(&question, &Answer { status, headers, pieces, broken });
        if known.iter().any(|secret| !secret.is_empty() && contains(&line, secret)) {
            return Err(Unrecorded::Secret);
        }
        if line.len() > EXCHANGE_BYTES_MAX {
            return Err(Unrecorded::ExchangeTooLarge);
        }
        Ok((recorder, line))
    }
}

impl std::fmt::Debug for Exchange {
    /// Never what passes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange({}, {} bytes)", self.status, self.bytes)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_whole_for_nobody_else_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.jsonl");
        let recorder = Recorder::open(&path).unwrap();
        recorder.add(b"one\n").unwrap();
        recorder.add(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::write(&path, format!("one\n{}", "torn".repeat(3_000))).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        recorder.add(b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\nthree\n", "what was interrupted is taken out");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "torn").unwrap();
        recorder.add(b"four\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"four\n");
    }

    #[test]
    fn a_recording_does_not_grow_over_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.jsonl");
        let recorder = Recorder::open(&path).unwrap();
        let mut line = vec![b'a'; usize::try_from(RECORDING_BYTES_MAX).unwrap() / 2];
        line.push(b'\n');
        recorder.add(&line).unwrap();
        assert!(matches!(recorder.add(&line), Err(Unrecorded::TooLarge)));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), u64::try_from(line.len()).unwrap());
        assert!(Recorder::open(&folder.path().join("none/there.jsonl")).is_err());
    }
}
