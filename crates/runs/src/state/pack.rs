//! From a folder to an archive.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, SeekFrom as Sought, Stat, seek};
use rustix::io::Errno;

use super::archive::{About, Extent, MAGIC, Tag, write_name};
use crate::limits::{COPY_BYTES, DEPTH_MAX, LINK_PATHS_BYTES_MAX, NAMES_MAX};
use crate::tree::{Found, Step, Walk, seconds, shown};

/// What an archive holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Files, folders and links.
    pub names: u64,
    /// Bytes that files hold, without their holes.
    pub bytes: u64,
    /// Fifos, sockets and devices, which are not kept.
    pub left_out: u64,
}

/// Writes everything in a folder, of at most so many bytes.
///
/// # Errors
/// When something cannot be read or written, or is more than is kept: half of what an agent has is worth nothing.
pub(super) fn pack(root: OwnedFd, out: &mut impl Write, most: u64) -> io::Result<Packed> {
    out.write_all(MAGIC)?;
    let mut packer = Packer { out, packed: Packed::default(), most, first: HashMap::new(), path_bytes: 0 };
    let mut walk = Walk::new(root, NAMES_MAX)?;
    while let Some(step) = walk.next()? {
        let told = packer.step(&walk, step);
        told.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", shown(walk.path()))))?;
    }
    Tag::End.write(packer.out)?;
    packer.out.write_all(&packer.packed.names.to_be_bytes())?;
    Ok(packer.packed)
}

struct Packer<'a, W> {
    out: &'a mut W,
    packed: Packed,
    most: u64,
    /// The first path of each file that has several names.
    first: HashMap<(u64, u64), Vec<u8>>,
    path_bytes: usize,
}

// === impl Packer ===

impl<W: Write> Packer<'_, W> {
    fn step(&mut self, walk: &Walk, step: Step) -> io::Result<()> {
        let name = walk.name();
        match step {
            Step::Enter(found) => {
                self.begin(Tag::Enter, name)?;
                about(&found.stat).write(self.out)
            }
            Step::Leave => Tag::Leave.write(self.out),
            Step::File(found) => self.file(walk, &found),
            Step::Link(found) => {
                self.begin(Tag::Link, name)?;
                write_name(self.out, &found.target()?)
            }
            Step::Other(
                FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice,
            ) => {
                self.packed.left_out += 1;
                Ok(())
            }
            Step::Other(_) => Err(io::Error::other("it is of a kind that nobody knows")),
            Step::Unreadable(error) => Err(error),
            Step::TooDeep => Err(io::Error::other(format!("it is more than {DEPTH_MAX} folders deep"))),
            Step::TooMany => Err(io::Error::other(format!("there are more than {NAMES_MAX} names"))),
        }
    }

    fn begin(&mut self, tag: Tag, name: &[u8]) -> io::Result<()> {
        self.packed.names += 1;
        tag.write(self.out)?;
        write_name(self.out, name)
    }

    fn file(&mut self, walk: &Walk, found: &Found) -> io::Result<()> {
        if let Some(identity) = found.identity() {
            match self.first.entry(identity) {
                Entry::Occupied(first) => {
                    let first = first.get().clone();
                    self.begin(Tag::Again, walk.name())?;
                    return write_name(self.out, &first);
                }
                Entry::Vacant(place) => {
                    self.path_bytes += walk.path().len();
                    if self.path_bytes > LINK_PATHS_BYTES_MAX {
                        return Err(io::Error::other("too many files have several names"));
                    }
                    place.insert(walk.path().to_vec());
                }
            }
        }
        let mut file = found.open_file()?;
        self.begin(Tag::File, walk.name())?;
        about(&found.stat).write(self.out)?;
        self.out.write_all(&found.length().to_be_bytes())?;
        self.content(&mut file, found.length())
    }

    /// The parts of a file that hold something.
    fn content(&mut self, file: &mut File, length: u64) -> io::Result<()> {
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(length).unwrap_or(COPY_BYTES))];
        let mut at = 0;
        while at < length {
            let Some(data) = next_data(file, at)? else { break };
            let hole = next_hole(file, data)?.unwrap_or(length).min(length);
            at = data;
            file.seek(SeekFrom::Start(at))?;
            while at < hole {
                let wanted = buffer.len().min(usize::try_from(hole - at).unwrap_or(buffer.len()));
                let read = file.read(&mut buffer[..wanted])?;
                if read == 0 {
                    return Err(io::Error::other("it became shorter while it was read"));
                }
                self.extent(at, &buffer[..read])?;
                at += read as u64;
            }
        }
        Extent::END.write(self.out)
    }

    fn extent(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.packed.bytes += data.len() as u64;
        if self.packed.bytes > self.most {
            return Err(io::Error::other("there is more than is kept"));
        }
        let length = u32::try_from(data.len()).map_err(io::Error::other)?;
        Extent { offset, length }.write(self.out)?;
        self.out.write_all(data)
    }
}

fn about(stat: &Stat) -> About {
    let (seconds, nanoseconds) = seconds(stat);
    // Nothing that comes back may run as somebody else.
    About { mode: stat.st_mode & 0o777, seconds, nanoseconds }
}

/// Where something comes next; `None` where there are only holes.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, Sought::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        // A file system without holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

fn next_hole(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, Sought::Hole(at)) {
        Ok(hole) => Ok(Some(hole)),
        Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
