//! Server-sent events, as far as MCP uses them (HTML Living Standard, "Server-sent events"): a reader that takes
//! pieces of any size under a bound, and a writer.

use std::collections::VecDeque;

/// Reads events out of a stream that comes in pieces.
///
/// Events without data are not given out, as the standard has it; but their `id` and `retry` count
/// ([`Reader::last_id`], [`Reader::retry_ms`]).
#[derive(Debug)]
pub struct Reader {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The data of the event that is not complete yet, and whether any `data` came.
    data: Vec<u8>,
    has_data: bool,
    other_kind: bool,
    /// The `id` of the event that is not complete yet.
    id: Option<String>,
    last_id: Option<String>,
    retry_ms: Option<u64>,
    /// A line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    at_start: bool,
    bytes_max: usize,
    ready: VecDeque<Vec<u8>>,
}

/// An event is larger than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {bytes_max} bytes")]
pub struct TooLarge {
    /// The bound.
    pub bytes_max: usize,
}

// === impl Reader ===

impl Reader {
    /// A reader for events of at most `bytes_max` bytes, everything counted.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            other_kind: false,
            id: None,
            last_id: None,
            retry_ms: None,
            after_return: false,
            at_start: true,
            bytes_max,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next piece of the stream.
    ///
    /// # Errors
    /// When an event grows over the bound. The reader is of no more use then.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), TooLarge> {
        if piece.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.after_return) && piece[0] == b'\n' {
            piece = &piece[1..];
        }
        while let Some(end) = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.grow(&piece[..end])?;
            let returned = piece[end] == b'\r';
            piece = &piece[end + 1..];
            if returned {
                match piece.first() {
                    Some(b'\n') => piece = &piece[1..],
                    None => self.after_return = true,
                    Some(_) => {}
                }
            }
            self.end_line()?;
        }
        self.grow(piece)
    }

    /// The data of the next complete event.
    pub fn next_data(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }

    /// The last `id` of a complete event: where the stream can be taken up again.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long to wait before taking it up again, as the server wants it.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() + bytes.len() > self.bytes_max {
            return Err(TooLarge { bytes_max: self.bytes_max });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), TooLarge> {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if std::mem::take(&mut self.at_start) {
            text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        }
        if text.is_empty() {
            self.end_event();
        } else {
            let (name, value) = match text.iter().position(|byte| *byte == b':') {
                Some(colon) => {
                    let value = &text[colon + 1..];
                    (&text[..colon], value.strip_prefix(b" ").unwrap_or(value))
                }
                None => (text, &text[..0]),
            };
            self.field(name, value)?;
        }
        // Keeps the allocation for the next line.
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), TooLarge> {
        match name {
            b"data" => {
                if self.data.len() + value.len() + 1 > self.bytes_max {
                    return Err(TooLarge { bytes_max: self.bytes_max });
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.other_kind = !value.is_empty() && value != b"message",
            b"id" if !value.contains(&0) => self.id = Some(String::from_utf8_lossy(value).into_owned()),
            b"retry" => {
                let digits =
                    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                self.retry_ms = digits.and_then(|text| text.parse().ok()).or(self.retry_ms);
            }
            // A comment (an empty name), or a field the standard does not have.
            _ => {}
        }
        Ok(())
    }

    fn end_event(&mut self) {
        if let Some(id) = self.id.take() {
            self.last_id = Some(id).filter(|id| !id.is_empty());
        }
        let data = std::mem::take(&mut self.data);
        let kept = std::mem::take(&mut self.has_data) && !data.is_empty();
        // MCP sends everything as `message`; other kinds are another protocol's.
        if !std::mem::take(&mut self.other_kind) && kept {
            self.ready.push_back(data);
        }
    }
}

/// One event with `data`, which has no line breaks: compact JSON never has.
pub fn event(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 24);
    out.extend_from_slice(b"event: message\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
    out
}

/// A sign of life that carries nothing.
pub const COMMENT: &[u8] = b":\n\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<String>, Reader) {
        let mut reader = Reader::new(1_000);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece).unwrap();
            while let Some(data) = reader.next_data() {
                events.push(String::from_utf8(data).unwrap());
            }
        }
        (events, reader)
    }

    const STREAM: &str = "\u{feff}: hello\nid: 7\ndata:\n\nevent: message\r\ndata: {\"a\":1}\r\n\r\nretry: 250\rdata: x\r\
        data:  y\r\revent: endpoint\ndata: /old\n\nnonsense\ndata\ndata: z\nid\n\ndata: unfinished";

    #[test]
    fn every_kind_of_line_is_read_as_the_standard_says() {
        let (events, reader) = read(&[STREAM.as_bytes()]);
        assert_eq!(events, ["{\"a\":1}", "x\n y", "\nz"]);
        assert_eq!((reader.last_id(), reader.retry_ms()), (None, Some(250)));
        let (_, reader) = read(&[b"id: 7\ndata:\n\n"]);
        assert_eq!(reader.last_id(), Some("7"));
    }

    #[test]
    fn where_the_stream_is_cut_does_not_matter() {
        let stream = STREAM.as_bytes();
        let (whole, _) = read(&[stream]);
        for first in 0..=stream.len() {
            assert_eq!(read(&[&stream[..first], &[], &stream[first..]]).0, whole, "cut at {first}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(&single).0, whole);
    }

    #[test]
    fn an_event_over_the_bound_is_refused_however_it_comes() {
        for stream in [format!("data: {}\n\n", "a".repeat(50)), "data: aaaaaaaa\n".repeat(8), "a".repeat(50)]
        {
            let mut reader = Reader::new(40);
            let result = stream.as_bytes().chunks(7).try_for_each(|piece| reader.push(piece));
            assert_eq!(result, Err(TooLarge { bytes_max: 40 }), "{stream}");
        }
        let mut reader = Reader::new(40);
        assert_eq!(
            reader.push("data: aaaaaaaaaa\n\n".repeat(100).as_bytes()),
            Ok(()),
            "many small ones are fine"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(messages in proptest::collection::vec("[ -~]{1,40}", 0..8), cut in 1_usize..30) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| event(message.as_bytes())).collect();
            let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
            prop_assert_eq!(read(&pieces).0, messages);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(pieces in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..20), 0..20)
        ) {
            let mut reader = Reader::new(64);
            for piece in pieces {
                if reader.push(&piece).is_err() { break; }
            }
        }
    }
}
