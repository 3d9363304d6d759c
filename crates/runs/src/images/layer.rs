//! One layer of an image, unpacked over those below it: <https://github.com/opencontainers/image-spec/blob/main/layer.md>.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::place::Place;
use super::store::hex;
use crate::limits::{IMAGE_BYTES_MAX, IMAGE_FILES_MAX};

/// Before the name of a file that lower layers have and this one has not.
const GONE: &[u8] = b".wh.";

/// In a folder of which nothing of lower layers is left.
const OPAQUE: &str = ".wh..wh..opq";

/// What an image may still take of the disk.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

// === impl Room ===

impl Default for Room {
    fn default() -> Self {
        Self { bytes: IMAGE_BYTES_MAX, files: IMAGE_FILES_MAX }
    }
}

/// Unpacks a layer; the digest of what it is, unpacked.
///
/// # Errors
/// When it does not fit, or holds what leads out of the folder.
pub(super) fn unpack(place: &Place, layer: impl Read, zipped: bool, room: &mut Room) -> io::Result<String> {
    let plain: Box<dyn Read> = if zipped { Box::new(GzDecoder::new(layer)) } else { Box::new(layer) };
    // The archive is at most what it unpacks to, and its own headers: half a kilobyte and names for each file.
    let most = room.bytes.saturating_add(room.files.saturating_mul(4_096));
    let mut hashed = Hashed { read: plain.take(most), context: Context::new(&SHA256) };
    let mut archive = Archive::new(&mut hashed);
    for entry in archive.entries()? {
        let mut entry = entry?;
        room.files = room.files.checked_sub(1).ok_or_else(|| full("files"))?;
        put(place, &mut entry, room)?;
    }
    // What follows the archive belongs to the digest.
    io::copy(&mut hashed, &mut io::sink())?;
    if hashed.read.limit() == 0 {
        return Err(full("bytes"));
    }
    Ok(format!("sha256:{}", hex(hashed.context.finish().as_ref())))
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
        EntryType::Directory => place.folder(&path, mode),
        EntryType::Symlink => place.link(&path, &leads_to(entry)?),
        EntryType::Link => place.same(&path, &leads_to(entry)?),
        EntryType::GNUSparse => Err(io::Error::new(io::ErrorKind::Unsupported, "a file with holes")),
        EntryType::Regular | EntryType::Continuous => {
            let bytes = entry.size();
            room.bytes = room.bytes.checked_sub(bytes).ok_or_else(|| full("bytes"))?;
            let mut file = place.file(&path, mode)?;
            io::copy(entry, &mut file).map(drop)
        }
        // Devices and pipes are made for each run anew; what is only said of other entries has been taken with them.
        _ => Ok(()),
    }
}

fn full(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more {what} than are taken"))
}

/// What is read, with its digest.
struct Hashed<R> {
    read: R,
    context: Context,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        self.context.update(&buffer[..count]);
        Ok(count)
    }
}
