//! A root in an order.

use std::os::unix::ffi::OsStringExt;

use super::codec::{Reader, WireError, Writer};
use crate::root::{Entry, Kind, Root};

const READ_ONLY: u8 = 1;
const WRITABLE: u8 = 2;
const SCRATCH: u8 = 3;
const FILE: u8 = 4;

pub(super) fn write_root(w: &mut Writer, root: &Root) {
    w.byte(u8::from(root.system));
    w.optional(root.folder.as_ref(), |w, folder| w.bytes(folder.as_os_str()));
    w.bytes(root.home.as_os_str());
    w.list(&root.entries, |w, entry| {
        w.bytes(entry.target.as_os_str());
        match &entry.kind {
            Kind::ReadOnly(source) => {
                w.byte(READ_ONLY);
                w.bytes(source.as_os_str());
            }
            Kind::Writable(source) => {
                w.byte(WRITABLE);
                w.bytes(source.as_os_str());
            }
            Kind::Scratch(bytes) => {
                w.byte(SCRATCH);
                w.number(*bytes);
            }
            Kind::File(content) => {
                w.byte(FILE);
                w.raw(content);
            }
        }
    });
}

pub(super) fn read_root(r: &mut Reader<'_>) -> Result<Root, WireError> {
    let system = r.flag()?;
    let folder = r.optional(Reader::path)?;
    let home = r.path()?;
    let entries = r.list(|r| {
        let target = r.path()?;
        let kind = match r.byte()? {
            READ_ONLY => Kind::ReadOnly(r.path()?),
            WRITABLE => Kind::Writable(r.path()?),
            SCRATCH => Kind::Scratch(r.number()?),
            FILE => Kind::File(r.bytes()?.into_vec()),
            _ => return Err(WireError("an unknown entry of a root")),
        };
        Ok(Entry { target, kind })
    })?;
    Ok(Root { system, folder, home, entries })
}
