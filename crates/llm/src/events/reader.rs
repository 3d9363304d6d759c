//! Finds where events end.

use bytes::{Buf, Bytes, BytesMut};

use super::fields::read;
use super::{Event, TooLarge};

/// Reads events out of a stream that comes in pieces.
///
/// The blank line that ends an event may be a lone carriage return. Where the piece ends there, the event is given out
/// at once; a line feed that follows belongs to that line break and opens the [`Event::raw`] of the next event.
#[derive(Debug)]
pub struct Reader {
    /// What came before of the event that is not complete yet. All of it has been scanned.
    held: BytesMut,
    /// What has come and not been scanned.
    piece: Bytes,
    /// Nothing stands in the current line yet.
    line_is_empty: bool,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// No event has been given out: a byte order mark may stand here.
    at_start: bool,
    bytes_max: usize,
}

// === impl Reader ===

impl Reader {
    /// A reader for events of at most `bytes_max` bytes, everything counted.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            held: BytesMut::new(),
            piece: Bytes::new(),
            line_is_empty: true,
            after_return: false,
            at_start: true,
            bytes_max,
        }
    }

    /// Takes the next piece of the stream. Take out all events with [`Reader::next_event`] before the next one: what has
    /// not been taken is copied.
    pub fn push(&mut self, piece: Bytes) {
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            let mut both = BytesMut::with_capacity(self.piece.len() + piece.len());
            both.extend_from_slice(&self.piece);
            both.extend_from_slice(&piece);
            self.piece = both.freeze();
        }
    }

    /// The next complete event; `None` until there is one.
    ///
    /// # Errors
    /// When an event grows over the bound. The reader is of no more use then.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        let end = self.scan();
        let bytes = self.held.len() + end.unwrap_or(self.piece.len());
        if bytes > self.bytes_max {
            return Err(TooLarge { bytes_max: self.bytes_max });
        }
        let Some(end) = end else {
            self.held.extend_from_slice(&std::mem::take(&mut self.piece));
            return Ok(None);
        };
        let piece = self.piece.split_to(end);
        let raw = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            self.held.split().freeze()
        };
        Ok(Some(read(raw, std::mem::take(&mut self.at_start))))
    }

    /// Whether nothing of an event has come that was not given out: a stream can be ended here.
    pub fn is_between_events(&self) -> bool {
        // The second half of the line break that ended the last event is not the beginning of another.
        self.piece.is_empty() && matches!(&self.held[..], b"" | b"\n")
    }

    /// After the last piece: what was left without a blank line, read as if it had one. The standard discards it; some
    /// providers end a stream that way, and it may say what the call cost.
    pub fn finish(mut self) -> Option<Event> {
        self.held.extend_from_slice(&self.piece);
        let left = self.held.split().freeze();
        (!left.is_empty()).then(|| read(left, self.at_start))
    }

    /// How many bytes of the piece belong to the event that ends in it, if one does.
    fn scan(&mut self) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = self.piece.chunk().get(at) {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => at += 1,
                b'\n' | b'\r' => {
                    at += 1;
                    self.after_return = byte == b'\r';
                    if std::mem::replace(&mut self.line_is_empty, true) {
                        return Some(self.with_line_feed(at));
                    }
                }
                _ => {
                    self.line_is_empty = self.line_is_empty && self.is_mark_so_far(at);
                    let line = &self.piece[at..];
                    let break_at = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    at += if self.line_is_empty { 1 } else { break_at.unwrap_or(line.len()) };
                }
            }
        }
        None
    }

    /// The end of the event, with the line feed of its last line break where that has come.
    fn with_line_feed(&mut self, end: usize) -> usize {
        let follows = self.after_return && self.piece.get(end) == Some(&b'\n');
        self.after_return = self.after_return && !follows;
        end + usize::from(follows)
    }

    /// Whether the bytes up to this one of the piece are the start of the stream and nothing but a byte order mark, or
    /// what has come of one: it does not count as part of the line.
    fn is_mark_so_far(&self, at: usize) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let so_far = self.held.iter().chain(&self.piece[..=at]);
        self.at_start
            && self.held.len() + at < MARK.len()
            && so_far.eq(MARK.iter().take(self.held.len() + at + 1))
    }
}
