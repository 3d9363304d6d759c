//! What an environment consists of, as one digest over all of it, so that another one is not taken for it.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_types::{Digest, Hasher};
use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;

use super::in_order::{InOrder, going_on};
use super::links;
use crate::limits::COPY_BYTES;
use crate::tree::Found;

/// What a folder holds. However many files there are, it is as small as this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Over each folder, file and link, in the order of their names: its path, mode, content, and where it leads.
    digest: Digest,
    /// How many there are.
    files: u64,
    /// Bytes of all files.
    bytes: u64,
}

// === impl Manifest ===

impl Manifest {
    /// Of a folder as it is now, of which nothing is changed. Blocks for as long as it takes to read all of it, or until it is
    /// called off.
    ///
    /// # Errors
    /// When it is a link, something in it cannot be read, is no file, folder or link that stays inside, or there is too much.
    pub(super) fn of(folder: &Path, stop: &CancellationToken) -> io::Result<Self> {
        let mut way = InOrder::through(folder, stop)?;
        let (mut files, mut bytes, mut all, mut buffer) = (0, 0_u64, Hasher::new(), vec![0; COPY_BYTES]);
        while let Some(found) = way.next()? {
            files += 1;
            let refused = |why: &str| io::Error::other(format!("{} {why}", way.shown()));
            let (kind, content) = match found.kind() {
                FileType::Directory => (b'd', Vec::new()),
                FileType::RegularFile => {
                    bytes = bytes.saturating_add(found.length());
                    let digest = digest(&found, &mut buffer, stop);
                    let digest = digest.map_err(|error| refused(&format!("cannot be read: {error}")))?;
                    (b'f', digest.to_string().into_bytes())
                }
                FileType::Symlink => {
                    let target = found.target()?;
                    let at = |bytes| Path::new(OsStr::from_bytes(bytes));
                    if !links::stays(at(way.path()), at(&target)) {
                        return Err(refused("is a link that leads out of it"));
                    }
                    (b'l', target)
                }
                _ => return Err(refused("is no file, folder or link that can be kept")),
            };
            all.update(&[kind]);
            all.update(&found.permissions().to_le_bytes());
            for part in [way.path(), &content] {
                // With its length before it, it is not taken for what comes next.
                all.update(&(part.len() as u64).to_le_bytes());
                all.update(part);
            }
        }
        Ok(Self { digest: all.finish(), files, bytes })
    }

    /// As it is written beside what it is of.
    pub(super) fn to_text(&self, about: Object) -> String {
        let text = about.with("files", self.files).with("bytes", self.bytes);
        let text = Value::Object(text.with("sha256", self.digest.to_string())).to_bytes();
        String::from_utf8_lossy(&text).into_owned() + "\n"
    }

    /// Whether a text says that the folder holds just this.
    pub(super) fn is_said_by(&self, text: &str) -> bool {
        let said = parse(text.as_bytes(), &Limits::default());
        let is = |name, value: Value| said.as_ref().is_ok_and(|said| said.get(name) == Some(&value));
        is("files", self.files.into())
            && is("bytes", self.bytes.into())
            && is("sha256", self.digest.to_string().into())
    }
}

fn digest(found: &Found, buffer: &mut [u8], stop: &CancellationToken) -> io::Result<Digest> {
    let (mut file, mut hasher) = (found.open_file_as_it_is()?, Hasher::new());
    loop {
        going_on(stop)?;
        match file.read(buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn of(folder: &Path) -> io::Result<Manifest> {
        Manifest::of(folder, &CancellationToken::new())
    }

    #[test]
    fn whatever_changes_in_a_folder_changes_what_is_said_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("lib")).unwrap();
        std::fs::write(path("lib/a.py"), "one").unwrap();
        symlink("lib", path("lib64")).unwrap();
        let first = of(folder.path()).unwrap();
        let text = first.to_text(Object::new().with("format", 1_u64));
        assert!(first.is_said_by(&text) && first.bytes == 3);
        let cut = &text[..text.len() - 3];
        assert!(!first.is_said_by("") && !first.is_said_by("{}") && !first.is_said_by(cut));
        let changes: [&dyn Fn(); 6] = [
            &|| std::fs::write(path("lib/a.py"), "two").unwrap(),
            &|| std::fs::set_permissions(path("lib/a.py"), std::fs::Permissions::from_mode(0o777)).unwrap(),
            &|| std::fs::write(path("lib/b.py"), "").unwrap(),
            &|| std::fs::create_dir(path("empty")).unwrap(),
            &|| std::fs::rename(path("empty"), path("lib/empty")).unwrap(),
            &|| {
                std::fs::remove_file(path("lib64")).unwrap();
                symlink("./lib", path("lib64")).unwrap();
            },
        ];
        let mut texts = vec![text];
        for change in changes {
            change();
            let now = of(folder.path()).unwrap();
            assert!(texts.iter().all(|text| !now.is_said_by(text)));
            texts.push(now.to_text(Object::new()));
        }
    }

    #[test]
    fn nothing_is_followed_out_of_a_folder_and_nothing_in_it_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("real/closed")).unwrap();
        std::fs::set_permissions(path("real/closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
        // Who is root reads it all the same.
        let _ = of(&path("real"));
        let mode = std::fs::metadata(path("real/closed")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0, "it has the mode it had");
        std::fs::set_permissions(path("real/closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(of(&path("real")).is_ok());

        symlink("real", path("link")).unwrap();
        assert!(of(&path("link")).is_err(), "the folder itself is a link");
        for target in ["..", "/", "closed/../.."] {
            symlink(target, path("real/out")).unwrap();
            let said = of(&path("real")).unwrap_err().to_string();
            assert!(said.contains("out is a link that leads out of it"), "{said}");
            std::fs::remove_file(path("real/out")).unwrap();
        }
    }

    #[test]
    fn however_many_files_there_are_it_is_small() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..3_000_u32 {
            let name = [&[0xff; 200], number.to_string().as_bytes()].concat();
            std::fs::write(folder.path().join(OsStr::from_bytes(&name)), "x").unwrap();
        }
        let text = of(folder.path()).unwrap().to_text(Object::new());
        assert!(text.len() < 200 && text.contains(r#""files":3000,"bytes":3000"#), "{text}");
    }

    #[test]
    fn reading_ends_when_nobody_waits_for_it_any_more_also_in_the_middle_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        // It takes hours to read.
        let file = std::fs::File::create(folder.path().join("large")).unwrap();
        file.set_len(8 << 40).unwrap();
        let (stop, path) = (CancellationToken::new(), folder.path().to_owned());
        let reading = std::thread::spawn({
            let stop = stop.clone();
            move || Manifest::of(&path, &stop)
        });
        // So that it may have begun; it is the same if it has not.
        std::thread::sleep(std::time::Duration::from_millis(200));
        stop.cancel();
        let told = reading.join().unwrap().unwrap_err().to_string();
        assert!(told.contains("it was called off"), "{told}");
    }
}
