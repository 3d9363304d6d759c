//! The files a child sees instead of the machine's.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::error::SpawnError;
use crate::limits::{ROOT_ENTRIES_MAX, ROOT_FILE_BYTES_MAX, TARGET_COMPONENTS_MAX, TEMPORARY_BYTES_DEFAULT};

/// Where a child's home is, unless [`Root::home`] says otherwise.
const HOME: &str = "/work";

/// A root of a child's own: nothing of the machine but what is listed, read-only but for what is said to be
/// writable. `/dev` is minimal, `/proc` shows the child's own processes, there is no `/sys`; `/tmp` and the home
/// are bounded and gone with the child.
///
/// Sources and targets are absolute. No component of a source may be a symbolic link: what is shown is what was
/// named. Targets are made where they do not exist; they hold no `..` and lead over no symbolic link.
#[derive(Clone, PartialEq, Eq)]
pub struct Root {
    pub(crate) system: bool,
    /// A folder whose entries are those of the root.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) home: PathBuf,
    pub(crate) entries: Vec<Entry>,
}

/// One thing in a root.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) target: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file or folder of the machine, read-only.
    ReadOnly(PathBuf),
    /// A file or folder of the machine.
    Writable(PathBuf),
    /// A file system in memory, of so many bytes.
    Scratch(u64),
    /// A file with this content, read-only.
    File(Vec<u8>),
}

// === impl Root ===

impl Root {
    /// The machine's programs and libraries (`/usr`, `/bin`, `/sbin`, `/lib*`), and of `/etc` what they need and
    /// holds no secret: the linker's cache, certificates, alternatives, time zone, and users, groups, hosts and name
    /// servers written anew.
    pub fn system() -> Self {
        Self { system: true, ..Self::empty() }
    }

    /// Nothing but `/dev`, `/proc`, `/tmp`, the home and an `/etc` with users, groups, hosts and name servers: for
    /// a program without libraries, or with all it needs listed.
    pub fn empty() -> Self {
        let temporary = Entry { target: "/tmp".into(), kind: Kind::Scratch(TEMPORARY_BYTES_DEFAULT) };
        Self { system: false, folder: None, home: HOME.into(), entries: vec![temporary] }
    }

    /// What a folder of the machine holds, read-only, as an image has been unpacked: its programs, its libraries and its
    /// `/etc`, where the hosts and name servers are written anew. `/dev`, `/proc`, `/tmp` and the home as everywhere.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::empty() }
    }

    /// Where the home is; its size is [`crate::Limits::home_bytes`]. Without this, `/work`.
    pub fn home(mut self, target: impl Into<PathBuf>) -> Self {
        self.home = target.into();
        self
    }

    /// Shows a file or folder of the machine, read-only. A missing one is an error when the child starts.
    pub fn read_only(self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.with(target.into(), Kind::ReadOnly(source.into()))
    }

    /// Shows a file or folder of the machine that the child may change, as far as the node's user may. A missing
    /// one is an error when the child starts.
    pub fn writable(self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.with(target.into(), Kind::Writable(source.into()))
    }

    /// An empty folder in memory, of at most so many bytes, gone with the child.
    pub fn scratch(self, target: impl Into<PathBuf>, bytes: u64) -> Self {
        self.with(target.into(), Kind::Scratch(bytes))
    }

    /// A file with this content, at most [`ROOT_FILE_BYTES_MAX`], read-only.
    pub fn file(self, target: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.with(target.into(), Kind::File(content.into()))
    }

    /// Whether it is laid out as this other one, but for what is listed.
    pub(crate) fn stands_on(&self, other: &Self) -> bool {
        self.system == other.system && self.folder == other.folder && self.home == other.home
    }

    /// The last entry for a target counts.
    fn with(mut self, target: PathBuf, kind: Kind) -> Self {
        self.entries.retain(|entry| entry.target != target);
        self.entries.push(Entry { target, kind });
        self
    }

    /// What cannot be shown whatever the machine holds.
    pub(crate) fn validate(&self) -> Result<(), SpawnError> {
        let invalid = |what: String| Err(SpawnError::Invalid(what));
        if self.entries.len() > ROOT_ENTRIES_MAX {
            return invalid(format!(
                "{} entries in the root; at most {ROOT_ENTRIES_MAX}",
                self.entries.len()
            ));
        }
        let targets = self.entries.iter().map(|entry| entry.target.as_path());
        for target in targets.chain([self.home.as_path()]) {
            if let Some(why) = unfit(target) {
                return invalid(format!("the target {} in the root {why}", target.display()));
            }
        }
        if self.entries.iter().any(|entry| entry.target == self.home) {
            return invalid(format!("the target {} in the root is the home", self.home.display()));
        }
        if let Some(folder) = self.folder.as_ref().filter(|folder| !folder.is_absolute() || climbs(folder)) {
            return invalid(format!("the root {} is not an absolute path without `..`", folder.display()));
        }
        for entry in &self.entries {
            match &entry.kind {
                Kind::ReadOnly(source) | Kind::Writable(source) => {
                    if !source.is_absolute() || has_nul(source.as_os_str()) || climbs(source) {
                        return invalid(format!(
                            "the source {} for the root is not an absolute path without `..`",
                            source.display()
                        ));
                    }
                }
                Kind::File(content) if content.len() > ROOT_FILE_BYTES_MAX => {
                    return invalid(format!(
                        "the file {} has {} bytes; at most {ROOT_FILE_BYTES_MAX} can be given as content, larger ones as a source",
                        entry.target.display(),
                        content.len()
                    ));
                }
                Kind::Scratch(0) => {
                    // For tmpfs, size 0 means without a bound.
                    return invalid(format!("the scratch folder {} has 0 bytes", entry.target.display()));
                }
                Kind::File(_) | Kind::Scratch(_) => {}
            }
        }
        Ok(())
    }
}

/// Why nothing can be shown there.
pub(crate) fn unfit(target: &Path) -> Option<&'static str> {
    let mut components = target.components();
    if components.next() != Some(Component::RootDir) || has_nul(target.as_os_str()) {
        return Some("is not an absolute path");
    }
    let named: Vec<Component<'_>> = components.collect();
    match named.first() {
        None => return Some("is the root itself"),
        // These are made by the sandbox; something else in their place would undo what it says of itself.
        Some(first)
            if [OsStr::new("proc"), OsStr::new("dev"), OsStr::new("sys")].contains(&first.as_os_str()) =>
        {
            return Some("lies in /proc, /dev or /sys");
        }
        Some(_) => {}
    }
    if named.len() > TARGET_COMPONENTS_MAX {
        return Some("lies too deep");
    }
    named.iter().any(|part| !matches!(part, Component::Normal(_))).then_some("holds `..`")
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

fn has_nul(text: &OsStr) -> bool {
    text.as_bytes().contains(&0)
}

/// Shows no content: it may be a credential.
impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("system", &self.system)
            .field("folder", &self.folder)
            .field("home", &self.home)
            .field("entries", &self.entries)
            .finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.display();
        match &self.kind {
            Kind::ReadOnly(source) => write!(f, "{target} from {} (read-only)", source.display()),
            Kind::Writable(source) => write!(f, "{target} from {}", source.display()),
            Kind::Scratch(bytes) => write!(f, "{target} in memory ({bytes} bytes)"),
            Kind::File(content) => write!(f, "{target} ({} bytes)", content.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_sources_that_lead_elsewhere_are_refused() {
        let refused = [
            Root::system().read_only("/srv", "relative"),
            Root::system().read_only("/srv", "/"),
            Root::system().read_only("/srv", "/a/../../etc"),
            Root::system().read_only("/srv", "/proc/sys"),
            Root::system().read_only("/srv", "/dev"),
            Root::system().read_only("/srv", "/sys"),
            Root::system().read_only("/srv", "/a\0b"),
            Root::system().read_only("srv", "/a"),
            Root::system().read_only("/srv/../root", "/a"),
            Root::system().read_only("/srv", "/work"),
            Root::system().home("/"),
            Root::system().home("/../etc"),
            Root::system().scratch("/a", 0),
            Root::system().file("/a", vec![0; ROOT_FILE_BYTES_MAX + 1]),
            Root::system().file("/a/".repeat(TARGET_COMPONENTS_MAX + 1), ""),
            (0..=ROOT_ENTRIES_MAX).fold(Root::system(), |root, n| root.file(format!("/f{n}"), "")),
        ];
        for root in refused {
            assert!(matches!(root.validate(), Err(SpawnError::Invalid(_))), "{root:?}");
        }
        let fine = Root::system()
            .read_only("/srv/data", "/data")
            .writable("/srv/out", "/agent/out")
            .scratch("/tmp", 1)
            .home("/agent/work")
            .file("/etc/hosts", "127.0.0.1 localhost\n");
        assert!(fine.validate().is_ok());
        assert_eq!(fine.entries.len(), 4, "the scratch at /tmp replaced the one there was");
    }

    #[test]
    fn debug_output_holds_no_content() {
        let shown = format!("{:?}", Root::empty().file("/agent/key", "hunter2"));
        assert!(shown.contains("/agent/key") && !shown.contains("hunter2"), "{shown}");
    }
}
