//! An archive as a tar (POSIX.1-2001 pax), for people and their tools.

use std::io::{self, Read, Write};

use super::archive::{About, Extent, MAGIC, Tag, bytes, number, read_name};
use super::seal::damaged;
use crate::limits::{COPY_BYTES, HOLES_BYTES_MAX};
use crate::tree::is_single_name;

/// Bytes of a tar's block.
const BLOCK: usize = 512;

/// Bytes that a name has at most in a header; a longer one stands in a record before it.
const NAME_BYTES: usize = 100;

/// The largest number of eleven octal digits.
const OCTAL_MAX: u64 = 0o777_7777_7777;

/// Writes an archive as a tar. Holes are written out.
pub(crate) fn to_tar(from: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    if bytes(from)? != *MAGIC {
        return Err(damaged("it is no archive of this version"));
    }
    let mut tar = Tar { out, path: Vec::new(), holes_left: HOLES_BYTES_MAX };
    while tar.record(from)? {}
    // The end of a tar.
    tar.out.write_all(&[0; 2 * BLOCK])
}

struct Tar<'a, W> {
    out: &'a mut W,
    /// Of the folder that is being told.
    path: Vec<u8>,
    holes_left: u64,
}

/// What a header says.
struct Member<'a> {
    kind: u8,
    path: &'a [u8],
    link: &'a [u8],
    about: About,
    length: u64,
}

const NO_ABOUT: About = About { mode: 0o777, seconds: 0, nanoseconds: 0 };

// === impl Tar ===

impl<W: Write> Tar<'_, W> {
    fn record(&mut self, from: &mut impl Read) -> io::Result<bool> {
        match Tag::read(from)? {
            Tag::Enter => {
                self.path = [self.member_path(from)?, b"/".to_vec()].concat();
                let (about, path) = (About::read(from)?, self.path.clone());
                self.member(&Member { kind: b'5', path: &path, link: b"", about, length: 0 })?;
            }
            Tag::Leave => {
                self.path.pop();
                let end = self.path.iter().rposition(|byte| *byte == b'/').map_or(0, |last| last + 1);
                self.path.truncate(end);
            }
            Tag::File => {
                let (path, about, length) = (self.member_path(from)?, About::read(from)?, number(from)?);
                self.member(&Member { kind: b'0', path: &path, link: b"", about, length })?;
                self.content(from, length)?;
            }
            Tag::Link => {
                let (path, link) = (self.member_path(from)?, read_name(from)?);
                self.member(&Member { kind: b'2', path: &path, link: &link, about: NO_ABOUT, length: 0 })?;
            }
            Tag::Again => {
                let (path, link) = (self.member_path(from)?, read_name(from)?);
                self.member(&Member { kind: b'1', path: &path, link: &link, about: NO_ABOUT, length: 0 })?;
            }
            Tag::End => {
                number(from)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn member_path(&self, from: &mut impl Read) -> io::Result<Vec<u8>> {
        let name = read_name(from)?;
        if !is_single_name(&name) {
            return Err(damaged("it has a name that nothing in a folder has"));
        }
        Ok([self.path.as_slice(), &name].concat())
    }

    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        let mut records = Vec::new();
        for (name, value) in [("path", member.path), ("linkpath", member.link)] {
            if value.len() > NAME_BYTES {
                records.extend(record(name, value));
            }
        }
        if member.length > OCTAL_MAX {
            records.extend(record("size", member.length.to_string().as_bytes()));
        }
        if !records.is_empty() {
            let length = records.len() as u64;
            let header = Member { kind: b'x', path: b"pax", link: b"", about: NO_ABOUT, length };
            self.out.write_all(&header.block())?;
            self.out.write_all(&records)?;
            self.fill_block(length)?;
        }
        self.out.write_all(&member.block())
    }

    fn content(&mut self, from: &mut impl Read, length: u64) -> io::Result<()> {
        let (mut at, mut buffer) = (0, vec![0; COPY_BYTES]);
        while let Some(Extent { offset, length: part }) = Extent::read(from)? {
            let part =
                buffer.get_mut(..part as usize).ok_or_else(|| damaged("it has a part that is too long"))?;
            from.read_exact(part)?;
            if offset < at || offset.saturating_add(part.len() as u64) > length {
                return Err(damaged("the parts of a file are not in order"));
            }
            self.hole(offset - at)?;
            self.out.write_all(part)?;
            at = offset + part.len() as u64;
        }
        self.hole(length - at)?;
        self.fill_block(length)
    }

    fn hole(&mut self, bytes: u64) -> io::Result<()> {
        let left = self.holes_left.checked_sub(bytes);
        self.holes_left = left.ok_or_else(|| {
            io::Error::other(
                "its files have holes that are too large to be written out; a run of the agent can read them",
            )
        })?;
        io::copy(&mut io::repeat(0).take(bytes), self.out).map(drop)
    }

    /// Up to the end of a block.
    fn fill_block(&mut self, length: u64) -> io::Result<()> {
        let rest = length % BLOCK as u64;
        if rest == 0 {
            Ok(())
        } else {
            io::copy(&mut io::repeat(0).take(BLOCK as u64 - rest), self.out).map(drop)
        }
    }
}

// === impl Member ===

impl Member<'_> {
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.path[..self.path.len().min(NAME_BYTES)]);
        put(100, format!("{:07o}", self.about.mode).as_bytes());
        for owner in [108, 116] {
            put(owner, b"0000000");
        }
        put(124, format!("{:011o}", self.length.min(OCTAL_MAX)).as_bytes());
        let seconds = u64::try_from(self.about.seconds).unwrap_or(0);
        put(136, format!("{:011o}", seconds.min(OCTAL_MAX)).as_bytes());
        // The sum is made with spaces in its own place.
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.link[..self.link.len().min(NAME_BYTES)]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// A pax record: its own length in decimal, a space, `name=value`, a line's end.
fn record(name: &str, value: &[u8]) -> Vec<u8> {
    let rest = name.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", name.as_bytes(), b"=", value, b"\n"].concat()
}
