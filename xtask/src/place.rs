//! Where things are.

use std::path::{Path, PathBuf};

/// The folders that chores work in.
#[derive(Clone, Debug)]
pub struct Place {
    /// The repository.
    pub repository: PathBuf,
    /// What `install` installs.
    pub parts: PathBuf,
}

impl Place {
    /// This repository, and its parts: `RINGFENCE_PARTS`, else target/parts. They do not follow `CARGO_TARGET_DIR`:
    /// what was built may go, what was downloaded stays.
    pub fn here() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let repository = package.parent().unwrap_or(package).to_owned();
        let parts = std::env::var_os("RINGFENCE_PARTS")
            .map_or_else(|| repository.join("target/parts"), |parts| repository.join(parts));
        Self { repository, parts }
    }

    /// Where Cargo puts what it builds.
    pub fn target(&self) -> PathBuf {
        let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        self.repository.join(folder)
    }

    /// A file of the repository's tests/parts.
    pub fn manifest(&self, path: &str) -> PathBuf {
        self.repository.join("tests/parts").join(path)
    }

    /// A tool that `install` has built.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.parts.join("tools/bin").join(name)
    }
}
