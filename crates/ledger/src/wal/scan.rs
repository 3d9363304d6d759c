//! Walking the batches of the whole write-ahead log.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::numbered_files;
use super::segment::{Position, Start, data_end, segment_path, start_of};
use crate::error::{At, Damage, ReadError};
use crate::frame::{BatchHeader, Frames, SEGMENT_HEADER, Slot};

/// Goes from batch to batch and from segment to segment.
pub(crate) struct WalScan {
    folder: PathBuf,
    segment: u64,
    frames: Frames<File>,
    next_id: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch whose header is sound and in its place.
    Batch(BatchHeader),
    /// The end.
    End(End),
}

/// How the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Behind the last sound batch.
    pub(crate) position: Position,
    /// How many bytes behind it are not zero: what a crash left of a batch that was never acknowledged.
    pub(crate) torn_bytes: u64,
}

// === impl WalScan ===

impl WalScan {
    /// Starts at a place that is known to be the start of a batch, or the end.
    pub(crate) fn at(folder: &Path, position: Position) -> Result<Self, ReadError> {
        let frames = open_frames(folder, position.segment, position.offset)?;
        Ok(Self { folder: folder.to_owned(), segment: position.segment, frames, next_id: position.entry })
    }

    /// Starts at the beginning of a segment, whatever entry it begins with.
    pub(crate) fn to_segment(folder: &Path, number: u64) -> Result<Self, ReadError> {
        let Start::Begins(entry) = start_of(folder, number)? else {
            let what = "the header of the segment is gone".to_owned();
            return Err(Damage { file: segment_path(folder, number), offset: 0, entry: 0, what }.into());
        };
        Self::at(folder, Position { segment: number, entry, ..Position::START })
    }

    /// Starts at the batch that holds entry `id`, or at the end if there is none.
    pub(crate) fn to_entry(folder: &Path, id: u64) -> Result<Self, ReadError> {
        let numbers = numbered_files(folder, "wal").at("list", folder)?;
        let mut segment = Position::START;
        let (mut low, mut high) = (0, numbers.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match start_of(folder, numbers[middle])? {
                Start::Begins(first) if first <= id => {
                    segment = Position { segment: numbers[middle], entry: first, ..segment };
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        let mut scan = Self::at(folder, segment)?;
        loop {
            match scan.step()? {
                Step::Batch(header) if header.end_id() <= id => scan.skip(&header)?,
                _ => return Ok(scan),
            }
        }
    }

    /// Where the scan stands.
    pub(crate) fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.frames.offset(), entry: self.next_id }
    }

    /// The file it stands in.
    pub(crate) fn path(&self) -> PathBuf {
        segment_path(&self.folder, self.segment)
    }

    /// Looks at what stands here; goes on to the next segment where this one ends.
    ///
    /// # Errors
    /// When what stands here is damaged and something behind it proves that it was once durable.
    pub(crate) fn step(&mut self) -> Result<Step, ReadError> {
        let damage = match self.look() {
            Err(ReadError::Damaged(damage)) => damage,
            other => return other,
        };
        // A node may be writing: what looked like a gap can have been filled while looking behind it.
        self.refresh()?;
        match self.slot()? {
            Slot::Batch(header) if header.first_id == self.next_id => Ok(Step::Batch(header)),
            Slot::Empty if start_of(&self.folder, self.segment + 1)? == Start::Begins(self.next_id) => {
                self.look()
            }
            _ => Err(damage.into()),
        }
    }

    fn look(&mut self) -> Result<Step, ReadError> {
        loop {
            match self.slot()? {
                Slot::Batch(header) if header.first_id == self.next_id => return Ok(Step::Batch(header)),
                Slot::Empty => {
                    if !self.enter_next()? {
                        return self.end("zeros where a batch was");
                    }
                }
                Slot::Batch(_) | Slot::Garbage => return self.end("not the header of the next batch"),
            }
        }
    }

    /// Reads the body of the batch that stands here; `None` when it is half written and nothing follows.
    ///
    /// # Errors
    /// When it is damaged and something behind it proves that it was once durable.
    pub(crate) fn body(&mut self, header: &BatchHeader, body: &mut Vec<u8>) -> Result<Option<()>, ReadError> {
        if self.take_body(header, body)? {
            return Ok(Some(()));
        }
        let end = self.end("the bytes of a batch do not fit its checksum");
        // As above: read half written, and whole since.
        self.refresh()?;
        match (self.take_body(header, body)?, end) {
            (true, _) => Ok(Some(())),
            (false, end) => end.map(|_| None),
        }
    }

    fn take_body(&mut self, header: &BatchHeader, body: &mut Vec<u8>) -> Result<bool, ReadError> {
        let path = self.path();
        let whole = self.frames.body(header, body).at("read", &path)?;
        if whole {
            self.next_id = header.end_id();
        }
        Ok(whole)
    }

    /// Forgets what was read ahead.
    fn refresh(&mut self) -> Result<(), ReadError> {
        self.frames = open_frames(&self.folder, self.segment, self.frames.offset())?;
        Ok(())
    }

    /// Goes on without looking at the body.
    pub(crate) fn skip(&mut self, header: &BatchHeader) -> Result<(), ReadError> {
        let path = self.path();
        self.frames.skip(header).at("read", &path)?;
        self.next_id = header.end_id();
        Ok(())
    }

    fn slot(&mut self) -> Result<Slot, ReadError> {
        let path = self.path();
        Ok(self.frames.slot().at("read", &path)?)
    }

    /// Moves to the next segment if it was begun; false at the end of the log.
    fn enter_next(&mut self) -> Result<bool, ReadError> {
        let number = self.segment + 1;
        match start_of(&self.folder, number)? {
            Start::Begins(first) if first == self.next_id => {
                self.frames = open_frames(&self.folder, number, SEGMENT_HEADER as u64)?;
                self.segment = number;
                Ok(true)
            }
            Start::Begins(first) => {
                let what = format!("the next segment begins with entry {first}: entries between are missing");
                Err(self.damage(what).into())
            }
            Start::Spare | Start::Absent => {
                self.refuse_gap(number)?;
                Ok(false)
            }
            // Half a header: the segment's first batch was never acknowledged, unless something follows.
            Start::Garbage => {
                self.refuse_later(number)?;
                Ok(false)
            }
        }
    }

    /// A segment after one that is missing or empty proves that entries are gone.
    fn refuse_gap(&self, number: u64) -> Result<(), ReadError> {
        for later in numbered_files(&self.folder, "wal").at("list", &self.folder)? {
            if later > number && matches!(start_of(&self.folder, later)?, Start::Begins(_) | Start::Garbage) {
                return Err(self
                    .damage(format!("segment {number} is gone, but segment {later} follows it"))
                    .into());
            }
        }
        self.refuse_later(number)
    }

    /// A batch behind the first one of a segment proves that its start was once durable.
    fn refuse_later(&self, number: u64) -> Result<(), ReadError> {
        let path = segment_path(&self.folder, number);
        if !path.exists() {
            return Ok(());
        }
        let frames = written_frames(&self.folder, number, 0)?;
        let (later, _) = frames.look_behind(self.next_id).at("read", &path)?;
        match later {
            None => Ok(()),
            Some(offset) => {
                let what =
                    format!("the start of the segment is damaged, but a batch follows at byte {offset}");
                Err(Damage { file: path, offset: 0, entry: self.next_id, what }.into())
            }
        }
    }

    fn damage(&self, what: String) -> Damage {
        Damage { file: self.path(), offset: self.frames.offset(), entry: self.next_id, what }
    }

    /// The end of the log is here, unless something behind proves that it was not.
    fn end(&mut self, what: &str) -> Result<Step, ReadError> {
        let path = self.path();
        let position = self.position();
        let frames = written_frames(&self.folder, position.segment, position.offset)?;
        let (later, written_end) = frames.look_behind(self.next_id).at("read", &path)?;
        if let Some(offset) = later {
            return Err(self.damage(format!("{what}, but a later batch follows at byte {offset}")).into());
        }
        if matches!(start_of(&self.folder, position.segment + 1)?, Start::Begins(_)) {
            return Err(self.damage(format!("{what}, but another segment follows")).into());
        }
        Ok(Step::End(End { position, torn_bytes: written_end - position.offset }))
    }
}

/// The part of a segment that was ever written, for looking behind.
fn written_frames(folder: &Path, segment: u64, offset: u64) -> Result<Frames<File>, ReadError> {
    let path = segment_path(folder, segment);
    let file = File::open(&path).at("open", &path)?;
    let length = file.metadata().at("inspect", &path)?.len();
    let end = data_end(&file, offset, length);
    Ok(Frames::new(file, offset, end).at("read", &path)?)
}

fn open_frames(folder: &Path, segment: u64, offset: u64) -> Result<Frames<File>, ReadError> {
    let path = segment_path(folder, segment);
    let file = File::open(&path).at("open", &path)?;
    let length = file.metadata().at("inspect", &path)?.len();
    Ok(Frames::new(file, offset, length).at("read", &path)?)
}
