//! The root while it is being filled: every path is resolved beneath it and over no link.

use std::cell::RefCell;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, mknodat, openat2, symlinkat};
use rustix::mount::{MountFlags, MoveMountFlags, mount, move_mount};

use crate::system::mount_restrict;

/// The root of a child, being filled.
pub(super) struct Ground {
    root: OwnedFd,
    /// Where the root is that is filled: itself, or a folder in it.
    within: RefCell<PathBuf>,
    /// File systems that were made for this child: only in them are folders and files made.
    own: RefCell<Vec<u64>>,
    /// The folder that was last made something in: most that is made lies beside what was made before.
    last: RefCell<Option<(PathBuf, Rc<OwnedFd>)>>,
}

// === impl Ground ===

impl Ground {
    /// The file system at this place, which becomes the root of this process.
    pub(super) fn at(place: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(place, flags, Mode::empty())?;
        let device = fstat(&root)?.st_dev;
        Ok(Self {
            root,
            within: RefCell::default(),
            own: RefCell::new(vec![device]),
            last: RefCell::new(None),
        })
    }

    /// From here on, paths are those of the root in this folder.
    pub(super) fn fill(&self, folder: &Path) {
        self.within.replace(folder.strip_prefix("/").unwrap_or(folder).to_owned());
        self.last.replace(None);
    }

    /// Makes it the directory that this process is in.
    pub(super) fn enter(&self) -> io::Result<()> {
        Ok(rustix::process::fchdir(&self.root)?)
    }

    /// Puts a detached mount on a folder or a file.
    pub(super) fn attach(&self, tree: &OwnedFd, target: &Path, folder: bool) -> io::Result<()> {
        let place = if folder { self.folder(target)? } else { self.empty_file(target)? };
        // What was opened there may lie below it now.
        self.last.replace(None);
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(move_mount(tree, "", &place, "", flags)?)
    }

    /// Hides what is at a path, below a mount.
    pub(super) fn cover(&self, path: &Path) -> io::Result<()> {
        let place = match self.open(path, OFlags::PATH) {
            // It is not there: a name that leads nowhere hides nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if FileType::from_raw_mode(fstat(&place)?.st_mode).is_dir() {
            let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            return mount_on(&place, flags, "size=4k,nr_inodes=1,mode=0555");
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "a hidden file lies in what is to be shown"))
    }

    /// A file system in memory, of at most so many bytes and files.
    pub(super) fn scratch(&self, target: &Path, bytes: u64, files: u64) -> io::Result<()> {
        let place = self.folder(target)?;
        mount_on(
            &place,
            MountFlags::NOSUID | MountFlags::NODEV,
            &format!("size={bytes},nr_inodes={files},mode=0700"),
        )?;
        self.last.replace(None);
        let device = fstat(self.open(target, OFlags::PATH)?)?.st_dev;
        self.own.borrow_mut().push(device);
        Ok(())
    }

    /// A small file, replacing one that was made before.
    pub(super) fn file(&self, target: &Path, content: &[u8]) -> io::Result<()> {
        let (folder, name) = self.own_parent(target)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*folder, name, flags, Mode::from_raw_mode(0o644))?;
        File::from(file).write_all(content)
    }

    /// A symbolic link, as the machine has it. It leads to something in here or nowhere.
    pub(super) fn link(&self, target: &Path, leads_to: &Path) -> io::Result<()> {
        let (folder, name) = self.own_parent(target)?;
        Ok(symlinkat(leads_to, &*folder, name)?)
    }

    /// Makes the root itself read-only; what is mounted in it stays as it is.
    pub(super) fn seal(self) -> io::Result<()> {
        drop((self.root, self.last));
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::BIND;
        Ok(rustix::mount::mount_remount("/", flags, "")?)
    }

    /// Opens a folder, which is made if it is not there.
    pub(super) fn folder(&self, target: &Path) -> io::Result<OwnedFd> {
        match self.open(target, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (parent, name) = self.own_parent(target)?;
        match mkdirat(&*parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.open(target, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Opens a folder that is there, to be read.
    pub(super) fn open_folder(&self, target: &Path) -> io::Result<OwnedFd> {
        self.open(target, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a file to mount on, which is made if it is not there.
    fn empty_file(&self, target: &Path) -> io::Result<OwnedFd> {
        match self.open(target, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (parent, name) = self.own_parent(target)?;
        mknodat(&*parent, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)?;
        self.open(target, OFlags::PATH)
    }

    /// The folder above, made if it is not there, and the last name. It is the child's own: nothing is made in folders
    /// of the machine.
    fn own_parent<'a>(&self, target: &'a Path) -> io::Result<(Rc<OwnedFd>, &'a OsStr)> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let name = target.file_name().ok_or_else(invalid)?;
        let above = target.parent().ok_or_else(invalid)?;
        let last = self.last.borrow().clone();
        if let Some((_, folder)) = last.filter(|(path, _)| path == above) {
            return Ok((folder, name));
        }
        let folder = Rc::new(self.folder(above)?);
        self.must_be_own(folder.as_fd())?;
        self.last.replace(Some((above.to_owned(), Rc::clone(&folder))));
        Ok((folder, name))
    }

    /// Opens a path beneath the root that leads over no link.
    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let beneath = self.within.borrow().join(path.strip_prefix("/").unwrap_or(path));
        let beneath = if beneath.as_os_str().is_empty() { Path::new(".") } else { &beneath };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.root, beneath, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// Nothing is made in folders of the machine.
    fn must_be_own(&self, folder: BorrowedFd<'_>) -> io::Result<()> {
        let device = fstat(folder)?.st_dev;
        if self.own.borrow().contains(&device) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "it does not exist in the folder of the machine that is shown there, and is not made there",
        ))
    }
}

/// Mounts a file system in memory on an open folder, exactly.
fn mount_on(place: &OwnedFd, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options).unwrap_or_default();
    rustix::process::fchdir(place)?;
    let mounted = mount("none", ".", "tmpfs", flags, options.as_c_str());
    rustix::process::chdir("/")?;
    Ok(mounted?)
}

/// Forbids set-user-ID programs, devices and, where ordered, change in a detached mount and all below it.
pub(super) fn restrict(tree: &OwnedFd, write: bool) -> io::Result<()> {
    mount_restrict(tree.as_fd(), !write)
}
