//! Bytes to fields and back. Strict: what is cut, too long, unknown or left over is an error.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::limits::TEXT_BYTES_MAX;

/// A message that is not what it should be. Both ends are the same program, so this is a defect or an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a malformed message between node and spawner: {0}")]
pub(crate) struct WireError(pub(crate) &'static str);

#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

pub(crate) struct Reader<'a>(&'a [u8]);

// === impl Writer ===

impl Writer {
    pub(crate) fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn signed(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &OsStr) {
        self.raw(value.as_bytes());
    }

    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Text for people, cut at the bound: a long reason is no reason to lose the message.
    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(OsStr::new(&value[..value.floor_char_boundary(TEXT_BYTES_MAX)]));
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            each(self, item);
        }
    }

    pub(crate) fn optional<T>(&mut self, item: Option<&T>, each: impl FnOnce(&mut Self, &T)) {
        self.byte(u8::from(item.is_some()));
        if let Some(item) = item {
            each(self, item);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(WireError("cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N)?.try_into().map_err(|_| WireError("cut short"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn flag(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError("neither yes nor no")),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn signed(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> Result<OsString, WireError> {
        let count = self.count()?;
        Ok(OsString::from_vec(self.take(count)?.to_vec()))
    }

    pub(crate) fn path(&mut self) -> Result<PathBuf, WireError> {
        Ok(PathBuf::from(self.bytes()?))
    }

    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        Ok(self.bytes()?.to_string_lossy().into_owned())
    }

    pub(crate) fn list<T>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.count()?;
        (0..count).map(|_| each(self)).collect()
    }

    pub(crate) fn optional<T>(
        &mut self,
        each: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        match self.byte()? {
            0 => Ok(None),
            1 => each(self).map(Some),
            _ => Err(WireError("neither absent nor present")),
        }
    }

    /// Ends the message: nothing may be left.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, WireError> {
        if self.0.is_empty() { Ok(value) } else { Err(WireError("bytes left over")) }
    }

    /// A length or a count. Each item takes at least a byte, so that it never exceeds what is left.
    fn count(&mut self) -> Result<usize, WireError> {
        let count = usize::try_from(self.number()?).map_err(|_| WireError("a length beyond memory"))?;
        if count > self.0.len() { Err(WireError("a length beyond the message")) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_message_is_refused_before_anything_is_allocated() {
        let mut writer = Writer::new(1);
        writer.number(u64::MAX);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes[1..]);
        assert!(reader.bytes().is_err());
        let mut reader = Reader::new(&bytes[1..]);
        assert!(reader.list(Reader::byte).is_err());
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let mut writer = Writer::default();
        writer.text(&"é".repeat(TEXT_BYTES_MAX));
        let bytes = writer.finish();
        let text = Reader::new(&bytes).text().unwrap();
        assert_eq!(text.len(), TEXT_BYTES_MAX);
        assert!(text.chars().all(|c| c == 'é'));
    }
}
