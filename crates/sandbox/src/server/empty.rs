//! Removing a folder in which a hostile program made what it wanted, when nobody inside lives any more.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

/// Names that are looked at together.
const AT_ONCE: usize = 1_024;

/// Removes a folder with all that is in it, whatever its modes. Folders in folders are moved up before they are emptied, so
/// that however deep they are, it takes neither a path nor a descriptor nor room on the stack for each. When it takes longer than it
/// may, what is left stays.
///
/// # Errors
/// When something stays.
pub fn empty_home(path: &Path, within: Duration) -> io::Result<()> {
    let until = Instant::now() + within;
    let top = open(CWD, path)?;
    let mut moved = 0;
    loop {
        let some = some(&top)?;
        if some.is_empty() {
            break;
        }
        for (name, is_folder) in some {
            if is_folder {
                empty(&top, &name, &mut moved, until)?;
                gone(unlinkat(&top, &name, AtFlags::REMOVEDIR))?;
            } else {
                gone(unlinkat(&top, &name, AtFlags::empty()))?;
            }
        }
    }
    fs::remove_dir(path)
}

/// Empties a folder; the folders in it come to be beside it.
fn empty(top: &OwnedFd, name: &CString, moved: &mut u64, until: Instant) -> io::Result<()> {
    unlock(top, name)?;
    let folder = open(top, name)?;
    loop {
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let some = some(&folder)?;
        if some.is_empty() {
            return Ok(());
        }
        for (name, is_folder) in some {
            if is_folder {
                // Who moves a folder changes it: it says what is above it.
                unlock(&folder, &name)?;
                move_up(folder.as_fd(), &name, top, moved)?;
            } else {
                gone(unlinkat(&folder, &name, AtFlags::empty()))?;
            }
        }
    }
}

/// Lets its owner into a folder. Should somebody live after all and put a link in its place, what that leads to stays as it is.
fn unlock(at: impl AsFd, name: &CString) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(at, name, flags, Mode::empty())?;
    // Modes are not changed by such a descriptor itself.
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    Ok(chmodat(CWD, path, Mode::RWXU, AtFlags::empty())?)
}

fn move_up(folder: BorrowedFd<'_>, name: &CString, top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        match renameat(folder, name, top, format!("{moved}")) {
            // The name is somebody's; an empty folder of that name gives way, and is not missed.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            other => return Ok(other?),
        }
    }
}

/// Some of the names in a folder, and which are folders; none when it is empty.
fn some(folder: &OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    let mut entries = Dir::read_from(folder)?;
    let mut some = Vec::new();
    while let Some(entry) = entries.read().filter(|_| some.len() < AT_ONCE) {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            let found = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            some.push((name, FileType::from_raw_mode(found.st_mode) == FileType::Directory));
        }
    }
    Ok(some)
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

fn open(at: impl AsFd, name: impl Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn what_is_deep_locked_and_named_as_it_is_moved_is_removed_and_nothing_else() {
        let around = tempfile::tempdir().unwrap();
        let home = around.path().join("home");
        let other = around.path().join("other");
        for folder in [&home, &other, &home.join("1"), &home.join("1/2"), &home.join("2")] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(other.join("kept"), "x").unwrap();
        fs::write(home.join("2/file"), "x").unwrap();
        fs::write(home.join("3"), "x").unwrap();
        std::os::unix::fs::symlink(&other, home.join("link")).unwrap();
        std::os::unix::fs::symlink(&other, home.join("1/2/link")).unwrap();
        for number in 0..2_000 {
            fs::write(home.join(format!("1/2/{number}")), "").unwrap();
        }
        // More levels than a process has descriptors and a stack has room for.
        let mut at = open(CWD, home.join("2")).unwrap();
        for level in 0..5_000 {
            let name = format!("{level}");
            mkdirat(&at, &name, Mode::RWXU).unwrap();
            at = open(&at, &name).unwrap();
        }
        mkdirat(&at, "locked", Mode::RWXU).unwrap();
        mkdirat(open(&at, "locked").unwrap(), "empty", Mode::empty()).unwrap();
        chmodat(&at, "locked", Mode::empty(), AtFlags::empty()).unwrap();
        drop(at);
        assert_eq!(empty_home(&home, Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
        empty_home(&home, Duration::from_hours(1)).unwrap();
        assert!(!home.exists());
        assert_eq!(fs::read(other.join("kept")).unwrap(), b"x");
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_leads_nowhere() {
        let around = tempfile::tempdir().unwrap();
        let other = around.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&other, around.path().join("link")).unwrap();
        let top = open(CWD, around.path()).unwrap();
        assert!(empty(&top, &c"link".to_owned(), &mut 0, Instant::now() + Duration::from_hours(1)).is_err());
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
