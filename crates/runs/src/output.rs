//! What programs write: line by line into a file of the run, and from there to whoever follows.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_json::{Object, Value, parse};
use ringfence_types::Timestamp;
use tokio::sync::watch;

use crate::limits::{LINE_BYTES_MAX, READ_BYTES_MAX};

/// Which of a program's streams a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line that a program wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it came.
    pub at: Timestamp,
    /// Where.
    pub stream: Stream,
    /// What, without its end; what is no UTF-8 is replaced.
    pub text: String,
    /// The line goes on in the next one, because it is longer than [`LINE_BYTES_MAX`].
    pub goes_on: bool,
}

/// Why output cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// There is none: the run never started, or what it wrote is no longer kept.
    #[error("nothing is kept of what this run wrote")]
    Nothing,
    /// The file cannot be read.
    #[error("what this run wrote cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// The output of one run, while it is written.
#[derive(Debug)]
pub struct Output {
    /// Bytes that are kept at most, as they stand in the file: a line of output takes more there than it has.
    most: u64,
    file: Mutex<File>,
    path: PathBuf,
    /// Bytes in the file, and whether it is complete.
    written: watch::Sender<(u64, bool)>,
}

/// Reads a run's output from a place on.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    at: u64,
    /// `None` where nothing more is written.
    written: Option<watch::Receiver<(u64, bool)>>,
}

// === impl Output ===

impl Output {
    pub(crate) fn create(path: PathBuf, most: u64) -> io::Result<Arc<Self>> {
        let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path)?;
        Ok(Arc::new(Self { most, file: Mutex::new(file), path, written: watch::channel((0, false)).0 }))
    }

    /// One over a file that is there.
    #[cfg(test)]
    pub(crate) fn of_file_for_tests(path: &Path) -> Arc<Self> {
        let file = OpenOptions::new().append(true).open(path).unwrap();
        let written = watch::channel((0, false)).0;
        Arc::new(Self { most: u64::MAX, file: Mutex::new(file), path: path.to_owned(), written })
    }

    /// Keeps lines, the one place that everything a program writes passes through; whether there is room for more. Blocks
    /// for one write.
    pub(crate) fn keep(&self, lines: impl Iterator<Item = Line>) -> io::Result<bool> {
        let mut file = self.file.lock();
        let room = self.most.saturating_sub(self.written.borrow().0);
        let (mut bytes, mut fits) = (Vec::new(), true);
        for line in lines {
            let before = bytes.len();
            bytes.extend_from_slice(&line.to_object().to_canonical());
            bytes.push(b'\n');
            if bytes.len() as u64 > room {
                bytes.truncate(before);
                fits = false;
                break;
            }
        }
        // One write for whole lines: a reader sees no half ones.
        file.write_all(&bytes)?;
        self.written.send_modify(|(written, _)| *written += bytes.len() as u64);
        Ok(fits)
    }

    pub(crate) fn end(&self) {
        self.written.send_modify(|(_, ended)| *ended = true);
    }

    pub(crate) fn follow(&self) -> Follower {
        Follower { path: self.path.clone(), at: 0, written: Some(self.written.subscribe()) }
    }
}

// === impl Follower ===

impl Follower {
    /// Of a run that is over.
    pub(crate) fn of_file(path: &Path) -> Result<Self, OutputError> {
        if !path.exists() {
            return Err(OutputError::Nothing);
        }
        Ok(Self { path: path.to_owned(), at: 0, written: None })
    }

    /// The next lines; none when there will be no more. With `wait`, waits for some.
    ///
    /// # Errors
    /// When the file cannot be read, or was removed because its time is over.
    pub async fn next(&mut self, wait: bool) -> Result<Vec<Line>, OutputError> {
        loop {
            let ended = match &mut self.written {
                None => true,
                Some(written) => {
                    let at = self.at;
                    let state = *written.borrow_and_update();
                    if state.0 <= at && !state.1 && wait {
                        if written.changed().await.is_err() {
                            self.written = None;
                        }
                        continue;
                    }
                    state.1 || !wait
                }
            };
            let (path, at) = (self.path.clone(), self.at);
            let read = tokio::task::spawn_blocking(move || read_from(&path, at)).await;
            let (lines, bytes) = read.map_err(io::Error::other)??;
            self.at += bytes;
            if !lines.is_empty() || ended {
                return Ok(lines);
            }
        }
    }
}

fn read_from(path: &Path, at: u64) -> Result<(Vec<Line>, u64), OutputError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OutputError::Nothing,
        _ => OutputError::Read(error),
    })?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
    // A line that is not there to its end is being written, or was when the node went down.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n').filter_map(Line::read).collect();
    Ok((lines, whole as u64))
}

// === impl Stream ===

impl Stream {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

// === impl Line ===

impl Line {
    /// As an object: in the file, and for programs.
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("at", self.at)
            .with("stream", self.stream.as_str())
            .with("text", self.text.as_str())
            .with_some("goes_on", self.goes_on.then_some(true))
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let line = parse(bytes, &ringfence_json::Limits::default()).ok()?.into_object()?;
        Some(Self {
            at: line.text("at")?.parse().ok()?,
            stream: if line.text("stream")? == "stdout" { Stream::Out } else { Stream::Err },
            text: line.text("text")?.to_owned(),
            goes_on: line.get("goes_on").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// Cuts what a program writes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

// === impl Lines ===

impl Lines {
    /// The lines that are complete with these bytes, and parts of one that is too long: each with whether it goes on.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<(String, bool)> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if self.0.last() == Some(&b'\n') {
                self.0.pop();
                if self.0.last() == Some(&b'\r') {
                    self.0.pop();
                }
                lines.push((self.take(self.0.len()), false));
            }
            while self.0.len() > LINE_BYTES_MAX {
                let at = character_border(&self.0, LINE_BYTES_MAX);
                lines.push((self.take(at), true));
            }
        }
        lines
    }

    /// What is left without an end of line.
    pub(crate) fn rest(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.take(self.0.len()))
    }

    fn take(&mut self, length: usize) -> String {
        let rest = self.0.split_off(length);
        let text = String::from_utf8_lossy(&self.0).into_owned();
        self.0 = rest;
        text
    }
}

/// The last place up to `at` that is not inside a character.
fn character_border(bytes: &[u8], at: usize) -> usize {
    let is_border = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    (at.saturating_sub(3)..=at).rev().find(is_border).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_in_whatever_pieces_they_come() {
        let text = "one\ntwo\r\n\nfür ☃\nrest".as_bytes();
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut all: Vec<String> =
                text.chunks(size).flat_map(|piece| lines.push(piece)).map(|(line, _)| line).collect();
            all.extend(lines.rest());
            assert_eq!(all, ["one", "two", "", "für ☃", "rest"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let mut lines = Lines::default();
        let long = "☃".repeat(LINE_BYTES_MAX);
        let parts = lines.push(long.as_bytes());
        assert!(
            parts.iter().all(|(part, goes_on)| *goes_on
                && part.len() <= LINE_BYTES_MAX
                && !part.contains('\u{fffd}'))
        );
        let together: String = parts.into_iter().map(|(part, _)| part).chain(lines.rest()).collect();
        assert_eq!(together, long);
    }

    #[tokio::test]
    async fn a_follower_sees_every_line_once_and_then_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        let output = Output::create(path.clone(), u64::MAX).unwrap();
        let line = |text: &str| Line {
            at: Timestamp::default(),
            stream: Stream::Out,
            text: text.into(),
            goes_on: false,
        };
        assert!(output.keep([line("one\u{7}\"")].into_iter()).unwrap());
        let mut follower = output.follow();
        assert_eq!(follower.next(true).await.unwrap(), [line("one\u{7}\"")]);
        assert!(follower.next(false).await.unwrap().is_empty());
        let writer = Arc::clone(&output);
        let writing = tokio::spawn(async move {
            for number in 0..100 {
                writer.keep([line(&number.to_string())].into_iter()).unwrap();
                tokio::task::yield_now().await;
            }
            writer.end();
        });
        let mut seen = Vec::new();
        loop {
            let lines = follower.next(true).await.unwrap();
            if lines.is_empty() {
                break;
            }
            seen.extend(lines.into_iter().map(|line| line.text));
        }
        writing.await.unwrap();
        assert_eq!(seen, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
        let mut again = Follower::of_file(&path).unwrap();
        assert_eq!(again.next(true).await.unwrap().len(), 101);
        assert!(again.next(true).await.unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Follower::of_file(&path), Err(OutputError::Nothing)));
    }

    #[test]
    fn what_is_kept_is_bounded_as_it_stands_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        let output = Output::create(path.clone(), 1_000).unwrap();
        let empty =
            || Line { at: Timestamp::default(), stream: Stream::Out, text: String::new(), goes_on: false };
        let mut line = empty().to_object().to_canonical();
        line.push(b'\n');
        let fit = 1_000 / line.len();
        assert!(fit > 5, "{} bytes a line", line.len());
        assert!(!output.keep((0..10_000).map(|_| empty())).unwrap());
        assert_eq!(
            std::fs::read(&path).unwrap(),
            line.repeat(fit),
            "as many whole lines as fit, and nothing else"
        );
        assert!(!output.keep([empty()].into_iter()).unwrap(), "there is room for none any more");
        assert_eq!(std::fs::read(&path).unwrap().len(), fit * line.len());
    }
}
