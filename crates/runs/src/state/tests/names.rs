//! Files with several names, in folders that are closed or whose paths are longer than any path may be.

use super::*;

/// Does something as somebody whom modes hold, as they do not hold root.
fn held_by_modes<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let rights = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let held = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(rights);
        set_capabilities(None, sets).unwrap();
        work()
    };
    // The rights are those of a thread, and end with it.
    std::thread::scope(|scope| scope.spawn(held).join().unwrap())
}

#[test]
fn a_file_whose_names_stand_in_closed_folders_comes_back_with_all_of_them() {
    let scene = Scene::new();
    let from = scene.path("from");
    let folders = ["z/in", "d/in", "z", "d"];
    for folder in ["z/in", "d/in"] {
        fs::create_dir_all(from.join(folder)).unwrap();
    }
    fs::write(from.join("z/in/g"), "content").unwrap();
    fs::hard_link(from.join("z/in/g"), from.join("d/in/f")).unwrap();
    for folder in folders {
        fs::set_permissions(from.join(folder), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let into = scene.path("into");
    held_by_modes(|| {
        assert_eq!(scene.keep(&from).unwrap(), 1);
        assert_eq!(scene.fill(&into).unwrap(), Some(1));
    });
    for folder in folders.into_iter().rev() {
        let path = into.join(folder);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0, "{folder} is as it was");
        for path in [path, from.join(folder)] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
    let (one, other) =
        (fs::metadata(into.join("z/in/g")).unwrap(), fs::metadata(into.join("d/in/f")).unwrap());
    assert_eq!((one.ino(), one.nlink()), (other.ino(), 2));
    assert_eq!(fs::read(into.join("d/in/f")).unwrap(), b"content");
}

/// The last of folders in folders, each with this name, made where they are not there.
fn deep(root: &Path, name: &str, depth: usize) -> OwnedFd {
    (0..depth).fold(self::root(root), |here, _| {
        // It may be there already.
        let _ = mkdirat(&here, name, Mode::RWXU);
        openat(&here, name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
    })
}

#[test]
fn a_file_with_a_path_longer_than_the_system_takes_comes_back_with_all_its_names() {
    let scene = Scene::new();
    let (from, into) = (scene.path("from"), scene.path("into"));
    fs::create_dir(&from).unwrap();
    // 4,016 bytes of folders, and a name of 200.
    let (one, other, file) = ("a".repeat(250), "b".repeat(250), "c".repeat(200));
    let folders = [deep(&from, &one, 16), deep(&from, &other, 16)];
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let made = openat(&folders[0], file.as_str(), flags, Mode::RUSR | Mode::WUSR).unwrap();
    File::from(made).write_all(b"content").unwrap();
    linkat(&folders[0], file.as_str(), &folders[1], file.as_str(), AtFlags::empty()).unwrap();
    assert_eq!(scene.keep(&from).unwrap(), 1);
    assert_eq!(scene.fill(&into).unwrap(), Some(1));
    let read = openat(deep(&into, &one, 16), file.as_str(), OFlags::RDONLY, Mode::empty()).unwrap();
    assert_eq!(File::from(read).metadata().unwrap().nlink(), 2);
    let read = openat(deep(&into, &other, 16), file.as_str(), OFlags::RDONLY, Mode::empty()).unwrap();
    let mut content = String::new();
    File::from(read).read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
}
