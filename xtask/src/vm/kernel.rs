//! The kernel of the machine, and the little that it starts from.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, at};
use crate::program::run;

/// Debian 12's own: the packages of a release stay the same, and snapshot.debian.org keeps those that went.
const PACKAGE: &str = "linux-image-6.1.0-48-amd64";
const VERSION: &str = "6.1.172-1";

/// What the machine needs before it sees the host's files.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// What the first program calls busybox by.
const APPLETS: [&str; 6] = ["sh", "mount", "mkdir", "modprobe", "sed", "switch_root"];

/// A kernel that is unpacked in a folder.
pub struct Kernel {
    /// The kernel itself.
    pub image: PathBuf,
    modules: PathBuf,
    version: String,
}

// === impl Kernel ===

impl Kernel {
    /// Unpacks a package, or the pinned one, which is downloaded once.
    ///
    /// # Errors
    /// When there is none, or it is no kernel.
    pub fn unpack(package: Option<&Path>, folder: &Path) -> Result<Self, Error> {
        let package = match package {
            Some(package) => package.to_owned(),
            None => pinned(folder)?,
        };
        let into = folder.join("kernel");
        if into.exists() {
            fs::remove_dir_all(&into).map_err(at(&into))?;
        }
        run(Command::new("dpkg-deb").arg("-x").args([&package, &into]))?;
        let versions = into.join("lib/modules");
        let version = fs::read_dir(&versions)
            .map_err(at(&versions))?
            .find_map(|entry| entry.ok()?.file_name().into_string().ok())
            .ok_or_else(|| Error::Found(format!("no modules in {}", package.display())))?;
        run(Command::new("busybox").arg("depmod").arg("-b").arg(&into).arg(&version))?;
        let image = into.join(format!("boot/vmlinuz-{version}"));
        Ok(Self { image, modules: versions.join(&version), version })
    }

    /// Packs busybox, the modules and the first program.
    ///
    /// # Errors
    /// When the kernel has no such module, or a file cannot be written.
    pub fn initramfs(&self, first: &str, folder: &Path) -> Result<PathBuf, Error> {
        let root = folder.join("initramfs");
        if root.exists() {
            fs::remove_dir_all(&root).map_err(at(&root))?;
        }
        for name in ["bin", "dev", "proc", "host", "over", "root"] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
        for applet in APPLETS {
            let link = root.join("bin").join(applet);
            symlink("busybox", &link).map_err(at(&link))?;
        }
        let (list, into) = (self.modules.join("modules.dep"), root.join("lib/modules").join(&self.version));
        let text = fs::read_to_string(&list).map_err(at(&list))?;
        for module in needed(&text) {
            copy(&self.modules.join(module), &into.join(module))?;
        }
        copy(&list, &into.join("modules.dep"))?;
        let script = root.join("init");
        fs::write(&script, first).map_err(at(&script))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(at(&script))?;
        let pack = "find . | busybox cpio -o -H newc > ../initramfs.cpio";
        run(Command::new("sh").args(["-c", pack]).current_dir(&root))?;
        Ok(folder.join("initramfs.cpio"))
    }
}

fn pinned(folder: &Path) -> Result<PathBuf, Error> {
    let package = folder.join(format!("{PACKAGE}_{VERSION}_amd64.deb"));
    if !package.exists() {
        let download = ["download", &format!("{PACKAGE}={VERSION}")];
        run(Command::new("apt-get").args(download).current_dir(folder))?;
    }
    Ok(package)
}

/// The files of [`MODULES`] and of what these need, by what depmod(8) wrote.
fn needed(dependencies: &str) -> Vec<&str> {
    let lines = dependencies.lines().filter_map(|line| line.split_once(':'));
    let wanted = |file: &str| MODULES.iter().any(|name| file.ends_with(&format!("/{name}.ko")));
    lines
        .filter(|(file, _)| wanted(file))
        .flat_map(|(file, below)| std::iter::once(file).chain(below.split_whitespace()))
        .collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    fs::copy(from, to).map(drop).map_err(at(from))
}

#[cfg(test)]
mod tests {
    use super::needed;

    #[test]
    fn modules_bring_what_they_need() {
        let list = "kernel/a/9p.ko: kernel/b/9pnet.ko kernel/c/netfs.ko\nkernel/d/x9p.ko: kernel/e.ko\nkernel/f/overlay.ko:\n";
        assert_eq!(
            needed(list),
            ["kernel/a/9p.ko", "kernel/b/9pnet.ko", "kernel/c/netfs.ko", "kernel/f/overlay.ko"]
        );
    }
}
