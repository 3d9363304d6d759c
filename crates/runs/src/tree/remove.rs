//! Removing what strangers made.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use ringfence_sandbox::remove_folder;
use rustix::fs::{Mode, OFlags, open};

use super::set_mode;
use crate::limits::REMOVAL;

/// Removes a folder with all that is in it, however deep and closed, over no link: it takes neither a path nor a descriptor nor
/// room on the stack for each level. What is left after [`REMOVAL`] stays. Blocks.
///
/// # Errors
/// When something stays, or it is no folder.
pub(crate) fn remove_tree(folder: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = open(folder, flags, Mode::empty())?;
    set_mode(held.as_fd(), 0o700)?;
    remove_folder(folder, REMOVAL)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{CWD, mkdirat, openat};

    use super::*;

    /// So many folders in one another that what takes room on the stack for each overflows a small one.
    pub(crate) const FAR_TOO_DEEP: usize = 2_000;

    /// Makes so many folders in one another.
    pub(crate) fn make_deep(folder: &Path, levels: usize) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = openat(CWD, folder, flags, Mode::empty()).unwrap();
        for _ in 0..levels {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", flags, Mode::empty()).unwrap();
        }
    }

    #[test]
    fn what_is_deep_or_closed_goes_and_nothing_behind_a_link() {
        let around = tempfile::tempdir().unwrap();
        let (folder, outside) = (around.path().join("folder"), around.path().join("outside"));
        fs::create_dir_all(folder.join("closed/in")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        symlink(&outside, folder.join("out")).unwrap();
        symlink(&outside, around.path().join("link")).unwrap();
        make_deep(&folder, FAR_TOO_DEEP);
        for closed in [folder.join("closed"), folder.clone()] {
            fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
        }
        assert!(remove_tree(&around.path().join("link")).is_err(), "a link is no folder");
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let removed = folder.clone();
        small.spawn(move || remove_tree(&removed)).unwrap().join().unwrap().unwrap();
        assert!(!folder.exists());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "x");
    }
}
