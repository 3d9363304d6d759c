//! One layer of an image, unpacked over those below it: <https://github.com/opencontainers/image-spec/blob/main/layer.md>.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::hex;
use super::place::Place;
use super::room::{Room, full};
use super::until::Until;
use crate::limits::{IMAGE_ENTRY_BYTES, IMAGE_HEADERS_BYTES_MAX};
use crate::sparing::Floor;

/// Before the name of a file that lower layers have and this one has not.
const GONE: &[u8] = b".wh.";

/// In a folder of which nothing of lower layers is left.
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks a layer; the digest of what it is, unpacked.
///
/// # Errors
/// When it does not fit, holds what leads out of the folder, or there is no time left for it.
pub(super) fn unpack(
    place: &Place,
    layer: impl Read,
    zipped: bool,
    room: &mut Room,
    until: &Until,
) -> io::Result<String> {
    let plain: Box<dyn Read> = if zipped { Box::new(GzDecoder::new(layer)) } else { Box::new(layer) };
    let most = room.bytes.saturating_add(room.files.saturating_mul(IMAGE_ENTRY_BYTES)).min(room.archives);
    let headers = Cell::new(Some(IMAGE_HEADERS_BYTES_MAX));
    let mut read =
        Hashed { read: plain.take(most), context: Context::new(&SHA256), headers: &headers, until };
    let mut archive = Archive::new(&mut read);
    for entry in archive.entries()? {
        let mut entry = entry?;
        headers.set(None);
        room.entry(place)?;
        // Of whatever kind it is: what is thrown away takes as long.
        room.content(entry.size())?;
        put(place, &mut entry, room)?;
        // Read to its end here, so that all that is read until the next one are headers, which are held in memory.
        io::copy(&mut entry, &mut io::sink())?;
        headers.set(Some(IMAGE_HEADERS_BYTES_MAX));
    }
    // What follows the archive belongs to the digest.
    headers.set(None);
    io::copy(&mut read, &mut io::sink())?;
    let left = read.read.limit();
    if left == 0 {
        return Err(full("bytes"));
    }
    room.archives -= most - left;
    Ok(format!("sha256:{}", hex(read.context.finish().as_ref())))
}

fn put(place: &Place, entry: &mut tar::Entry<'_, impl Read>, room: &mut Room) -> io::Result<()> {
    let path = entry.path()?.into_owned();
    let name = path.file_name().unwrap_or_default().to_owned();
    let above = path.parent().unwrap_or(Path::new(""));
    if name == OPAQUE {
        return place.empty(above);
    }
    if let Some(gone) = name.as_bytes().strip_prefix(GONE) {
        return place.remove(&above.join(OsStr::from_bytes(gone)));
    }
    let mode = entry.header().mode()?;
    let leads_to = |entry: &tar::Entry<'_, _>| {
        let link = entry.link_name()?.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        io::Result::Ok(link.into_owned())
    };
    match entry.header().entry_type() {
        EntryType::Directory => place.folder(&path, mode, room),
        EntryType::Symlink => place.link(&path, &leads_to(entry)?, room),
        EntryType::Link => place.same(&path, &leads_to(entry)?, room),
        EntryType::GNUSparse => Err(io::Error::new(io::ErrorKind::Unsupported, "a file with holes")),
        EntryType::Regular | EntryType::Continuous => {
            let file = place.file(&path, mode, room)?;
            io::copy(entry, &mut Filled { file, disk: &mut room.disk }).map(drop)
        }
        // Devices and pipes are made for each run anew; what is only said of other entries has been taken with them.
        _ => Ok(()),
    }
}

/// A file that is filled as long as the disk has room for others, too.
struct Filled<'a> {
    file: File,
    disk: &'a mut Floor,
}

impl Write for Filled<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is read, with its digest.
struct Hashed<'a, R> {
    read: R,
    context: Context,
    /// Bytes of headers that may still be read of the next entry; none while content is read, which nobody holds in memory.
    headers: &'a Cell<Option<u64>>,
    until: &'a Until,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until.look()?;
        let count = self.read.read(buffer)?;
        self.context.update(&buffer[..count]);
        if let Some(left) = self.headers.get() {
            let left = left.checked_sub(count as u64).ok_or_else(|| {
                let most = ringfence_types::format_size(IMAGE_HEADERS_BYTES_MAX);
                let what =
                    format!("the name and what else is said of one of its files are longer than {most}");
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?;
            self.headers.set(Some(left));
        }
        Ok(count)
    }
}
