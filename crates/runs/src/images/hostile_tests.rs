//! Layers that are made to take what the node has.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tar::{Builder, EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::layer::unpack;
use super::place::Place;
use super::room::Room;
use super::until::Until;
use crate::limits::{IMAGE_DEPTH_MAX, IMAGE_HEADERS_BYTES_MAX};
use crate::sparing::Floor;

/// What is read, and how much of it so far.
struct Counted<R>(R, Rc<Cell<u64>>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

fn ever() -> Until {
    Until::new(CancellationToken::new(), Duration::from_hours(1))
}

fn header(kind: EntryType, name: &str, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(bytes);
    header.set_cksum();
    header
}

/// An entry that is zeros.
fn zeros(kind: EntryType, name: &str, bytes: u64) -> impl Read {
    let header = header(kind, name, bytes).as_bytes().to_vec();
    io::Cursor::new(header).chain(io::repeat(0).take(bytes.next_multiple_of(512)))
}

/// The end of an archive.
fn end() -> impl Read {
    io::repeat(0).take(1_024)
}

/// Unpacks into an empty folder; what became of it, and how much was read.
fn put(layer: impl Read, room: &mut Room) -> (io::Result<String>, u64, tempfile::TempDir) {
    let (folder, read) = (tempfile::tempdir().unwrap(), Rc::new(Cell::new(0)));
    let place = Place::open(folder.path()).unwrap();
    let done = unpack(&place, Counted(layer, Rc::clone(&read)), false, room, &ever());
    (done, read.get(), folder)
}

fn all_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(all_in(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

#[test]
fn a_name_of_a_gigabyte_is_not_read_into_memory() {
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let layer = zeros(kind, "name", 1 << 30).chain(zeros(EntryType::Regular, "a", 0)).chain(end());
        let (done, read, _folder) = put(layer, &mut Room::default());
        let error = done.unwrap_err();
        assert!(error.to_string().contains("longer than 1Mi"), "{kind:?}: {error}");
        assert!(read < 2 * IMAGE_HEADERS_BYTES_MAX, "{kind:?}: {read} bytes were read");
    }
}

#[test]
fn several_headers_of_one_file_are_bounded_together() {
    let part = IMAGE_HEADERS_BYTES_MAX * 3 / 4;
    let [name, link] = [EntryType::GNULongName, EntryType::GNULongLink].map(|kind| zeros(kind, "name", part));
    let layer = name.chain(link).chain(zeros(EntryType::Regular, "a", 0)).chain(end());
    let (done, read, _folder) = put(layer, &mut Room::default());
    assert!(done.unwrap_err().to_string().contains("longer than 1Mi"));
    assert!(read < 2 * IMAGE_HEADERS_BYTES_MAX);
    // Of several files, each has its own.
    let small = IMAGE_HEADERS_BYTES_MAX / 2;
    let mut layer: Box<dyn Read> = Box::new(io::empty());
    for _ in 0..8 {
        layer = Box::new(layer.chain(zeros(EntryType::XHeader, "said", small)));
        layer = Box::new(layer.chain(zeros(EntryType::Regular, "a", 0)));
    }
    assert!(put(layer.chain(end()), &mut Room::default()).0.is_ok());
}

#[test]
fn headers_in_a_row_count_as_files() {
    let mut layer: Box<dyn Read> = Box::new(io::empty());
    for _ in 0..20 {
        layer = Box::new(layer.chain(zeros(EntryType::XGlobalHeader, "said", 512)));
    }
    let (done, read, _folder) = put(layer.chain(end()), &mut Room { files: 10, ..Room::default() });
    assert!(done.unwrap_err().to_string().contains("more files"));
    assert!(read < 20 * 1_024, "{read}");
}

#[test]
fn what_a_file_without_a_place_holds_is_no_header() {
    let layer = zeros(EntryType::Char, "tty", 4 << 20).chain(zeros(EntryType::Regular, "a", 3)).chain(end());
    let (done, _, folder) = put(layer, &mut Room::default());
    done.unwrap();
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), [0; 3]);
}

#[test]
fn names_as_long_as_paths_may_be_are_taken() {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let mut gnu = Builder::new(Vec::new());
    gnu.append_data(&mut header(EntryType::Regular, "", 1), &long, &b"x"[..]).unwrap();
    let mut pax = Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes())]).unwrap();
    pax.append(&header(EntryType::Regular, "short", 1), &b"x"[..]).unwrap();
    for layer in [gnu, pax] {
        let (done, _, folder) = put(&layer.into_inner().unwrap()[..], &mut Room::default());
        done.unwrap();
        assert_eq!(fs::read(folder.path().join(&long)).unwrap(), b"x");
    }
}

#[test]
fn folders_that_are_made_on_the_way_count_as_files() {
    let mut layer = Builder::new(Vec::new());
    for index in 0..4 {
        let path = format!("{index}/{}x", "d/".repeat(20));
        layer.append(&header(EntryType::Regular, &path, 0), io::empty()).unwrap();
    }
    let layer = layer.into_inner().unwrap();
    let (done, _, folder) = put(&layer[..], &mut Room { files: 30, ..Room::default() });
    assert!(done.unwrap_err().to_string().contains("more files"));
    let made = all_in(folder.path()).len();
    assert!(made <= 30, "{made} files and folders");
    let mut room = Room { files: 4 * 22, ..Room::default() };
    assert!(put(&layer[..], &mut room).0.is_ok());
    assert_eq!(room.files, 0, "each is counted once");
}

#[test]
fn the_last_of_the_disk_is_not_taken() {
    let full = || Room { disk: Floor::leaving(u64::MAX), ..Room::default() };
    for kind in [EntryType::Regular, EntryType::Directory, EntryType::Char] {
        let (done, _, folder) = put(zeros(kind, "a", 0).chain(end()), &mut full());
        let error = done.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{kind:?}: {error}");
        assert_eq!(all_in(folder.path()).len(), 0, "{kind:?}");
    }
    // What is free now is enough for the entry, but not for what is in it.
    let here = tempfile::tempdir().unwrap();
    let disk = rustix::fs::statvfs(here.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    let content = 1 << 30;
    let mut room = Room { disk: Floor::leaving(free.saturating_sub(32 << 20)), ..Room::default() };
    let (done, _, folder) = put(zeros(EntryType::Regular, "a", content).chain(end()), &mut room);
    assert_eq!(done.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(fs::metadata(folder.path().join("a")).map_or(0, |file| file.len()) < content);
}

#[test]
fn unpacking_ends_when_nobody_wants_it() {
    struct Stopping<R>(R, u32, CancellationToken);
    impl<R: Read> Read for Stopping<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1 == 100 {
                self.2.cancel();
            }
            assert!(self.1 < 200, "it is still read");
            self.0.read(buffer)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path()).unwrap();
    let stop = CancellationToken::new();
    let layer = Stopping(zeros(EntryType::Regular, "a", 8 << 30), 0, stop.clone());
    let until = Until::new(stop, Duration::from_hours(1));
    let error = unpack(&place, layer, false, &mut Room::default(), &until).unwrap_err();
    assert!(error.to_string().contains("nobody waits"), "{error}");
    let late = Until::new(CancellationToken::new(), Duration::ZERO);
    let error = unpack(&place, end(), false, &mut Room::default(), &late).unwrap_err();
    assert!(error.to_string().contains("all in all"), "{error}");
}

/// How many folders stand in one another.
fn levels(folder: &Path) -> usize {
    let below = fs::read_dir(folder).unwrap().flatten();
    let below = below.filter(|entry| entry.file_type().unwrap().is_dir());
    below.map(|entry| 1 + levels(&entry.path())).max().unwrap_or(0)
}

#[test]
fn links_lead_no_deeper_than_paths() {
    // Each link leads to the end of what was made over the one before.
    for last in [EntryType::Directory, EntryType::Regular] {
        let mut layer = Builder::new(Vec::new());
        let step = "d/".repeat(40);
        layer.append(&header(EntryType::Directory, &step, 0), io::empty()).unwrap();
        let mut above = step.clone();
        for index in 0..10 {
            let link = format!("l{index}");
            let mut leads = header(EntryType::Symlink, &link, 0);
            leads.set_link_name(&above).unwrap();
            leads.set_cksum();
            layer.append(&leads, io::empty()).unwrap();
            above = format!("{link}/{step}");
            let path = if last == EntryType::Regular { format!("{above}f") } else { above.clone() };
            layer.append(&header(last, &path, 0), io::empty()).unwrap();
        }
        let (done, _, folder) = put(&layer.into_inner().unwrap()[..], &mut Room::default());
        assert!(levels(folder.path()) <= IMAGE_DEPTH_MAX, "{}", levels(folder.path()));
        assert!(done.unwrap_err().to_string().contains("too deep"));
    }
}

#[test]
fn a_link_that_leads_up_makes_nothing_deep() {
    let mut layer = Builder::new(Vec::new());
    let step = "d/".repeat(45);
    let mut leads = header(EntryType::Symlink, &format!("{step}up"), 0);
    leads.set_link_name("/").unwrap();
    leads.set_cksum();
    layer.append(&leads, io::empty()).unwrap();
    layer
        .append_data(&mut header(EntryType::Regular, "", 1), format!("{step}up/{step}f"), &b"x"[..])
        .unwrap();
    let (done, _, folder) = put(&layer.into_inner().unwrap()[..], &mut Room::default());
    done.unwrap();
    assert_eq!(fs::read(folder.path().join(format!("{step}f"))).unwrap(), b"x");
}

#[test]
fn whatever_an_archive_holds_counts_also_what_is_thrown_away() {
    for kind in [
        EntryType::Char,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::XGlobalHeader,
        EntryType::new(b'V'),
    ] {
        let layer = zeros(kind, "a", 1 << 20).chain(end());
        let mut room = Room { bytes: (1 << 20) - 1, ..Room::default() };
        let error = put(layer, &mut room).0.unwrap_err();
        assert!(error.to_string().contains("more bytes"), "{kind:?}: {error}");
    }
    let gone = zeros(EntryType::Regular, "a/.wh.b", 1 << 20).chain(end());
    assert!(put(gone, &mut Room { bytes: 9, ..Room::default() }).0.is_err());
    // What follows an archive: of each layer as much as of the one before would make any amount.
    let mut room = Room { archives: 3 << 19, ..Room::default() };
    let follows = || end().chain(io::repeat(0).take(1 << 20));
    assert!(put(follows(), &mut room).0.is_ok());
    assert!(put(follows(), &mut room).0.unwrap_err().to_string().contains("more bytes"));
}
