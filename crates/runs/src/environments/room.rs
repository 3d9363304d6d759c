//! How much of the disk a build takes, and how much is left.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use crate::limits::ENVIRONMENT_FILES_MAX;
use crate::tree::{Step, Walk, real_folder};

/// Bytes of what a disk's blocks are counted in: stat(2).
const BLOCK: u64 = 512;

/// Whether a folder holds at most so many bytes: what all files in it say they hold, or what the disk has for them, where that
/// is more; each counted once. It does not where there are too many, or some that cannot be looked at. What goes while it is
/// looked at does not count. Nothing is changed by that.
pub(super) fn holds_at_most(folder: &Path, most: u64) -> bool {
    let walk = real_folder(folder).and_then(|root| Walk::only_looking(root, 2 * ENVIRONMENT_FILES_MAX));
    let Ok(mut walk) = walk else { return false };
    let (mut bytes, mut counted) = (0_u64, HashSet::new());
    loop {
        match walk.next() {
            Ok(Some(Step::File(found))) => {
                if found.identity().is_none_or(|file| counted.insert(file)) {
                    let on_disk = u64::try_from(found.stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
                    bytes = bytes.saturating_add(found.length().max(on_disk));
                }
                if bytes > most {
                    return false;
                }
            }
            Ok(Some(Step::TooMany | Step::TooDeep)) => return false,
            Ok(Some(Step::Unreadable(error))) if error.kind() == io::ErrorKind::PermissionDenied => {
                return false;
            }
            // Who makes a folder go away under the walk does not end it.
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => return true,
        }
    }
}

/// Bytes that are free where a folder is; as many as can be where that cannot be told.
pub(super) fn free_bytes(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(u64::MAX, |space| space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_build_takes_is_counted_once_over_no_link_and_however_its_files_say_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let fits = |most: u64| holds_at_most(folder.path(), most);
        fs::create_dir(path("lib")).unwrap();
        fs::write(path("lib/a"), vec![1; 300_000]).unwrap();
        fs::hard_link(path("lib/a"), path("again")).unwrap();
        symlink("/usr", path("usr")).unwrap();
        assert!(fits(400_000) && !fits(299_999));
        // One that says it is large, and many that say they are small.
        File::create(path("hole")).unwrap().set_len(1 << 30).unwrap();
        assert!(!fits(1 << 30) && fits((1 << 30) + 400_000));
        fs::remove_file(path("hole")).unwrap();
        for number in 0..200 {
            fs::write(path(&format!("lib/{number}")), "x").unwrap();
        }
        assert!(!fits(310_000), "each has a block of the disk");
        let deep = (0..70).fold(folder.path().to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(deep).unwrap();
        assert!(!fits(u64::MAX) && !holds_at_most(&path("absent"), u64::MAX));
    }
}
