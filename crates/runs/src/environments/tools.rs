//! What builds environments, and what runs in them: where they are on this machine.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ringfence_types::Builder;

use super::recipe::RecipeError;

/// Where programs are in a sandbox, which shows the machine's.
const INSIDE: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// What an environment is built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tools {
    /// What runs in it, as it is named in a sandbox.
    pub interpreter: PathBuf,
    /// `uv`, which may be anywhere on the machine.
    pub uv: Option<PathBuf>,
    /// What tells these from other versions.
    pub identity: String,
}

// === impl Tools ===

impl Tools {
    /// Looks for them, now: they may have been installed or renewed since.
    pub(crate) fn find(builder: Builder) -> Result<Self, RecipeError> {
        let interpreter = |name: &str, install: &str| {
            inside(name).ok_or_else(|| {
                RecipeError::new(format!("there is no `{name}` under /usr"), format!("install it: {install}"))
            })
        };
        match builder {
            Builder::Python => {
                let python = interpreter("python3", "`apt-get install python3`")?;
                let uv = uv(&search_path()).ok_or_else(|| {
                    let way_out = "install it where the node finds it: `pip install uv`, or `curl -LsSf \
                                   https://astral.sh/uv/install.sh | sh`";
                    RecipeError::new("there is no `uv`, which builds Python environments", way_out)
                })?;
                let identity = format!("{} {}", identity(&python), identity(&uv));
                Ok(Self { interpreter: python, uv: Some(uv), identity })
            }
            Builder::Node => {
                let node = interpreter("node", "`apt-get install nodejs npm`")?;
                let npm = interpreter("npm", "`apt-get install npm`")?;
                let identity = format!("{} {}", identity(&node), identity(&npm));
                Ok(Self { interpreter: node, uv: None, identity })
            }
        }
    }

    /// Where the headers of Node are, if it is Node and they are there: the folder that has `include/node`.
    pub(crate) fn headers(&self) -> Option<PathBuf> {
        let real = self.interpreter.canonicalize().ok()?;
        let is_node = self.interpreter.file_name().is_some_and(|name| name == "node");
        let folder = real.parent()?.parent().filter(|_| is_node)?;
        folder.join("include/node/common.gypi").is_file().then(|| folder.to_owned())
    }
}

/// A program as a sandbox has it.
fn inside(name: &str) -> Option<PathBuf> {
    INSIDE.iter().map(|folder| Path::new(folder).join(name)).find(|path| is_executable(path))
}

/// Where the node looks for programs, and where `uv` puts itself.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own =
        std::env::home_dir().into_iter().flat_map(|home| [home.join(".local/bin"), home.join(".cargo/bin")]);
    let usual = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(own).chain(usual).collect()
}

/// The program itself, and none that only leads to one: it is shown alone in a sandbox.
fn uv(folders: &[PathBuf]) -> Option<PathBuf> {
    let found = folders.iter().map(|folder| folder.join("uv")).filter(|path| is_executable(path));
    found.filter_map(|path| path.canonicalize().ok()).find(|path| is_program(path))
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn is_program(path: &Path) -> bool {
    let mut start = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"\x7fELF"
}

/// What another version of a program would not have: its place through links, its length, and when it was installed.
fn identity(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (length, seconds, nanos) =
        std::fs::metadata(&real).map_or((0, 0, 0), |found| (found.len(), found.mtime(), found.mtime_nsec()));
    format!("{} {length} {seconds}.{nanos:09}", real.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_leads_to_uv_is_passed_over_for_uv_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (shims, real) = (folder.path().join("shims"), folder.path().join("real"));
        let executable = |folder: &Path, content: &[u8], mode: u32| {
            std::fs::create_dir_all(folder).unwrap();
            let path = folder.join("uv");
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        executable(&shims, b"#!/bin/sh\nexec uv\n", 0o755);
        assert_eq!(uv(std::slice::from_ref(&shims)), None);
        executable(&real, b"\x7fELF and more", 0o644);
        assert_eq!(uv(&[shims.clone(), real.clone()]), None, "it cannot be executed");
        executable(&real, b"\x7fELF and more", 0o755);
        assert_eq!(uv(&[shims, real.clone()]), Some(real.canonicalize().unwrap().join("uv")));
    }

    #[test]
    fn another_version_is_another_tool() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        std::fs::write(&path, "one").unwrap();
        let one = identity(&path);
        assert_eq!(one, identity(&path));
        std::fs::write(&path, "another").unwrap();
        assert_ne!(one, identity(&path));
    }

    #[test]
    fn headers_are_looked_for_beside_the_node_that_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        for name in ["local/bin", "local/include/node", "bin"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        for name in ["local/bin/node", "local/bin/python3"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("../local/bin/node", folder.join("bin/node")).unwrap();
        let headers = |name: &str| {
            let tools = Tools { interpreter: folder.join(name), uv: None, identity: String::new() };
            tools.headers()
        };
        assert_eq!(headers("bin/node"), None, "they are not installed");
        std::fs::write(folder.join("local/include/node/common.gypi"), "").unwrap();
        assert_eq!(headers("bin/node"), Some(folder.join("local")));
        assert_eq!(headers("local/bin/python3"), None);
    }
}
