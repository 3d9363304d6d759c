//! The last part of what a run wrote.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::output::{Line, OutputError};

/// The last lines in a file, of at most so many bytes there; and whether these are all. Blocks.
pub(crate) fn last_lines(path: &Path, bytes_max: u64) -> Result<(Vec<Line>, bool), OutputError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OutputError::Nothing,
        _ => OutputError::Read(error),
    })?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(bytes_max);
    // With the byte before it: where that ends a line, the first one here is whole.
    file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let start = match from {
        0 => 0,
        _ => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
    };
    // The last one may be on its way into the file.
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(start, |last| last + 1).max(start);
    let lines = bytes[start..end].split_inclusive(|byte| *byte == b'\n').filter_map(Line::read).collect();
    Ok((lines, from == 0))
}

#[cfg(test)]
mod tests {
    use ringfence_types::Timestamp;

    use super::*;
    use crate::output::{Output, Stream};

    #[test]
    fn the_last_lines_are_whole_ones_and_it_is_said_when_some_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        let output = Output::create(path.clone(), u64::MAX).unwrap();
        let line = |number: u32| Line {
            at: Timestamp::default(),
            stream: Stream::Out,
            text: format!("line {number}"),
            goes_on: false,
        };
        output.keep((10..20).map(line)).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        let each = length / 10;
        let texts = |bytes| {
            let (lines, whole) = last_lines(&path, bytes).unwrap();
            (lines.into_iter().map(|line| line.text).collect::<Vec<_>>(), whole)
        };
        assert_eq!(texts(length).0.len(), 10);
        assert!(texts(length).1 && texts(u64::MAX).1 && !texts(length - 1).1);
        assert_eq!(texts(length - 1).0.len(), 9, "half a line is none");
        for bytes in [2 * each, 3 * each - 1] {
            assert_eq!(texts(bytes), (vec!["line 18".to_owned(), "line 19".to_owned()], false), "{bytes}");
        }
        assert_eq!(texts(each - 1), (Vec::new(), false));
        assert!(matches!(last_lines(&folder.path().join("none"), 10), Err(OutputError::Nothing)));
    }
}
