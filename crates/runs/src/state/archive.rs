//! A folder as one sequence of bytes.
//!
//! `RFTREE01`, then one record after the other, in which every number is big-endian and every name stands with its length
//! before it. A folder is entered and left, so that each record names something in the folder where it stands, and nothing
//! can name anything else; only the other names of a file give the path of the first. Holes of files are kept as holes.

use std::io::{self, Read, Write};

use super::seal::damaged;

/// What it starts with.
pub(super) const MAGIC: &[u8; 8] = b"RFTREE01";

/// The longest name or target, in bytes: that of a path.
const NAME_BYTES_MAX: usize = 2 * 4_096;

/// What kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// Into a folder: name, mode, time.
    Enter,
    /// Out of it.
    Leave,
    /// A file: name, mode, time, length, extents.
    File,
    /// A symbolic link: name, target.
    Link,
    /// One more name of a file: name, path.
    Again,
    /// The end: how many there were.
    End,
}

/// Mode and time of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    pub mode: u32,
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// A part of a file that holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub offset: u64,
    /// None of zero bytes but the one after the last.
    pub length: u32,
}

// === impl Tag ===

impl Tag {
    const ALL: [(u8, Self); 6] = [
        (b'D', Self::Enter),
        (b'U', Self::Leave),
        (b'F', Self::File),
        (b'L', Self::Link),
        (b'H', Self::Again),
        (b'E', Self::End),
    ];

    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        let byte = Self::ALL.iter().find(|(_, tag)| *tag == self).map_or(0, |(byte, _)| *byte);
        out.write_all(&[byte])
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let [byte] = bytes(from)?;
        let known = Self::ALL.iter().find(|(known, _)| *known == byte);
        known.map(|(_, tag)| *tag).ok_or_else(|| damaged("it has a record that nobody knows"))
    }
}

// === impl About ===

impl About {
    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.mode.to_be_bytes())?;
        out.write_all(&self.seconds.to_be_bytes())?;
        out.write_all(&self.nanoseconds.to_be_bytes())
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        Ok(Self {
            mode: u32::from_be_bytes(bytes(from)?) & 0o777,
            seconds: i64::from_be_bytes(bytes(from)?),
            nanoseconds: u32::from_be_bytes(bytes(from)?).min(999_999_999),
        })
    }
}

// === impl Extent ===

impl Extent {
    /// The one after the last.
    pub(super) const END: Self = Self { offset: 0, length: 0 };

    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.offset.to_be_bytes())?;
        out.write_all(&self.length.to_be_bytes())
    }

    /// The next one; `None` after the last.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let extent = Self { offset: number(from)?, length: u32::from_be_bytes(bytes(from)?) };
        Ok((extent.length > 0).then_some(extent))
    }
}

pub(super) fn write_name(out: &mut impl Write, name: &[u8]) -> io::Result<()> {
    let length = u32::try_from(name.len()).ok().filter(|_| name.len() <= NAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("a name is too long"))?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(name)
}

pub(super) fn read_name(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = u32::from_be_bytes(bytes(from)?) as usize;
    if length > NAME_BYTES_MAX {
        return Err(damaged("it has a name that is too long"));
    }
    let mut name = vec![0; length];
    from.read_exact(&mut name)?;
    Ok(name)
}

pub(super) fn number(from: &mut impl Read) -> io::Result<u64> {
    bytes(from).map(u64::from_be_bytes)
}

pub(super) fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
