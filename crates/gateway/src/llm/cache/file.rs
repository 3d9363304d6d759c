//! How an answer stands in a file.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `RFKEPT01` |
//! | 32 | the key |
//! | 32 | the digest of the configuration that decided |
//! | 8 | until when it is kept: microseconds since 1970, big-endian |
//! | 8 | the length of the answer, big-endian |
//! | … | the answer |
//! | 32 | SHA-256 of everything before |

use bytes::Bytes;
use ringfence_types::{Digest, Timestamp};

use super::{Answer, Key};

const MAGIC: &[u8; 8] = b"RFKEPT01";
const HEAD: usize = 88;
const SUM: usize = 32;

/// Bytes of a file beside the answer.
pub(super) const OVERHEAD: u64 = (HEAD + SUM) as u64;

/// Bytes of the beginning of a file that say whose answer it is.
pub(super) const HEAD_BYTES: u64 = HEAD as u64;

/// What the beginning of a file says. It is not proven by that: the sum stands at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) key: Key,
    pub(super) config: Digest,
    pub(super) until: Timestamp,
    body: u64,
}

// === impl Head ===

impl Head {
    /// Reads the beginning of a file.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let (config, rest) = rest.split_first_chunk::<32>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (body, _) = rest.split_first_chunk::<8>()?;
        (magic == MAGIC).then(|| Self {
            key: Key(Digest::from_bytes(*key)),
            config: Digest::from_bytes(*config),
            until: Timestamp::from_micros(u64::from_be_bytes(*until)),
            body: u64::from_be_bytes(*body),
        })
    }

    /// How long the whole file is; `None` where no file is so long.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        self.body.checked_add(OVERHEAD)
    }
}

/// How long the file of an answer is.
pub(super) fn bytes_of(answer: &Answer) -> u64 {
    answer.body.len() as u64 + OVERHEAD
}

/// The whole file.
pub(super) fn write(answer: &Answer) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEAD + answer.body.len() + SUM);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(answer.key.0.as_bytes());
    file.extend_from_slice(answer.config.as_bytes());
    file.extend_from_slice(&answer.until.as_micros().to_be_bytes());
    file.extend_from_slice(&(answer.body.len() as u64).to_be_bytes());
    file.extend_from_slice(&answer.body);
    let sum = Digest::of(&file);
    file.extend_from_slice(sum.as_bytes());
    file
}

/// Reads a whole file; `None` unless it is exactly what was written for this key.
pub(super) fn read(file: Vec<u8>, key: &Key) -> Option<Answer> {
    let head = Head::read(&file)?;
    if head.key != *key || head.file_bytes()? != file.len() as u64 {
        return None;
    }
    let (said, sum) = file.split_last_chunk::<SUM>()?;
    if Digest::of(said).as_bytes() != sum {
        return None;
    }
    let end = said.len();
    let body = Bytes::from(file).slice(HEAD..end);
    Some(Answer { key: head.key, config: head.config, until: head.until, body })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::answer;
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written_and_not_with_any_byte_changed_missing_or_more() {
        let one = answer("one", b"what was said", Duration::from_hours(1));
        let file = write(&one);
        assert_eq!(file.len() as u64, bytes_of(&one));
        assert_eq!(read(file.clone(), &one.key), Some(one.clone()));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut bad = file.clone();
                bad[at] ^= 1 << bit;
                assert_eq!(read(bad, &one.key), None, "bit {bit} of byte {at}");
            }
            assert_eq!(read(file[..at].to_vec(), &one.key), None, "cut at {at}");
        }
        assert_eq!(read([file.as_slice(), &[0]].concat(), &one.key), None);
        let other = answer("other", b"", Duration::from_hours(1));
        assert_eq!(read(file, &other.key), None, "another's");
        assert_eq!(read(write(&other), &other.key), Some(other), "nothing was said");
    }
}
