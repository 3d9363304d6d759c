//! What an environment consists of, file by file, so that another one is not taken for it.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ringfence_json::{Object, Value};
use ringfence_types::{Digest, Hasher};

use super::links;
use crate::limits::{COPY_BYTES, ENVIRONMENT_FILES_MAX};
use crate::tree::{Found, Step, Walk, real_folder};

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// A line for each folder, file and link, in the order of their names.
    lines: Vec<String>,
    /// Bytes of all files.
    pub bytes: u64,
}

// === impl Manifest ===

impl Manifest {
    /// Of a folder as it is now, of which nothing is changed. Blocks for as long as it takes to read all of it.
    ///
    /// # Errors
    /// When it is a link, something in it cannot be read, is no file, folder or link that stays inside, or there is too much.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut walk = Walk::only_looking(real_folder(folder)?, ENVIRONMENT_FILES_MAX)?;
        let (mut lines, mut bytes, mut buffer) = (Vec::new(), 0_u64, vec![0; COPY_BYTES]);
        while let Some(step) = walk.next()? {
            let path = walk.path().escape_ascii().to_string();
            let line = Object::new().with("path", path.as_str());
            let line = match step {
                Step::Leave => continue,
                Step::Enter(found) => line.with("folder", u64::from(found.permissions())),
                Step::File(found) => {
                    bytes = bytes.saturating_add(found.length());
                    line.with("mode", u64::from(found.permissions()))
                        .with("sha256", digest(&found, &mut buffer)?.to_string())
                }
                Step::Link(found) => {
                    let target = found.target()?;
                    let at = |bytes| Path::new(OsStr::from_bytes(bytes));
                    if !links::stays(at(walk.path()), at(&target)) {
                        return Err(io::Error::other(format!("{path} is a link that leads out of it")));
                    }
                    line.with("link", target.escape_ascii().to_string())
                }
                Step::Unreadable(error) => return Err(io::Error::other(format!("{path}: {error}"))),
                Step::Other(_) | Step::TooDeep => {
                    return Err(io::Error::other(format!(
                        "{path} is no file, folder or link that can be kept"
                    )));
                }
                Step::TooMany => {
                    let most = format!("it has more than {ENVIRONMENT_FILES_MAX} files");
                    return Err(io::Error::other(most));
                }
            };
            lines.push(String::from_utf8_lossy(&Value::Object(line).to_bytes()).into_owned());
        }
        lines.sort_unstable();
        Ok(Self { lines, bytes })
    }

    /// As it is written beside what it is of.
    pub(super) fn to_text(&self, about: Object) -> String {
        let head = about.with("files", self.lines.len() as u64).with("bytes", self.bytes);
        let mut text = String::from_utf8_lossy(&Value::Object(head).to_bytes()).into_owned();
        for line in &self.lines {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        text
    }

    /// Whether a text says that the folder holds just this.
    pub(super) fn is_said_by(&self, text: &str) -> bool {
        let mut lines = text.lines();
        // What it was made of stands before.
        lines.next().is_some() && lines.eq(self.lines.iter().map(String::as_str))
    }
}

fn digest(found: &Found, buffer: &mut [u8]) -> io::Result<Digest> {
    let (mut file, mut hasher) = (found.open_file_as_it_is()?, Hasher::new());
    loop {
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

    #[test]
    fn whatever_changes_in_a_folder_changes_what_is_said_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("lib")).unwrap();
        std::fs::write(path("lib/a.py"), "one").unwrap();
        symlink("lib", path("lib64")).unwrap();
        let first = Manifest::of(folder.path()).unwrap();
        let text = first.to_text(Object::new().with("format", 1_u64));
        assert!(first.is_said_by(&text) && first.bytes == 3);
        assert!(!first.is_said_by("") && !first.is_said_by(text.lines().next().unwrap()));
        let changes: [&dyn Fn(); 5] = [
            &|| std::fs::write(path("lib/a.py"), "two").unwrap(),
            &|| std::fs::set_permissions(path("lib/a.py"), std::fs::Permissions::from_mode(0o777)).unwrap(),
            &|| std::fs::write(path("lib/b.py"), "").unwrap(),
            &|| std::fs::create_dir(path("empty")).unwrap(),
            &|| {
                std::fs::remove_file(path("lib64")).unwrap();
                symlink("./lib", path("lib64")).unwrap();
            },
        ];
        let mut texts = vec![text];
        for change in changes {
            change();
            let now = Manifest::of(folder.path()).unwrap();
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
        let _ = Manifest::of(&path("real"));
        let mode = std::fs::metadata(path("real/closed")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0, "it has the mode it had");
        std::fs::set_permissions(path("real/closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Manifest::of(&path("real")).is_ok());

        symlink("real", path("link")).unwrap();
        assert!(Manifest::of(&path("link")).is_err(), "the folder itself is a link");
        for target in ["..", "/", "closed/../.."] {
            symlink(target, path("real/out")).unwrap();
            let said = Manifest::of(&path("real")).unwrap_err().to_string();
            assert!(said.contains("out is a link that leads out of it"), "{said}");
            std::fs::remove_file(path("real/out")).unwrap();
        }
    }
}
