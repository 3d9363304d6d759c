//! What an environment is made of, as the configuration names it, and what that says.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ringfence_types::{Builder, Digest};

use super::{package_lock, requirements, uv_lock};
use crate::limits::LOCK_BYTES_MAX;

/// What an environment is made of: a file that names every package, in one version, with the digest of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// `requirements.txt` with hashes.
    Requirements(PathBuf),
    /// `uv.lock`, beside its `pyproject.toml`.
    UvLock(PathBuf),
    /// `package-lock.json`, beside its `package.json`.
    PackageLock(PathBuf),
}

/// Why an environment cannot be made of a file: what is wrong with it, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {way_out}")]
pub struct RecipeError {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub way_out: String,
}

/// The files of a recipe, read.
#[derive(Debug)]
pub(crate) struct Ingredients {
    /// By the names that the builder knows them by. It is given these and no other file of the folder they are from.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

// === impl Recipe ===

impl Recipe {
    /// What a file is, by its name, among what `builder` takes.
    ///
    /// # Errors
    /// When it is nothing of the kind.
    pub fn of(builder: Builder, path: PathBuf) -> Result<Self, RecipeError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match (builder, name) {
            (Builder::Python, "uv.lock") => Ok(Self::UvLock(path)),
            (Builder::Python, name) if has_end(name, "txt") => Ok(Self::Requirements(path)),
            (Builder::Node, "package-lock.json") => Ok(Self::PackageLock(path)),
            (Builder::Python, _) => Err(RecipeError::new(
                format!("{} is neither a requirements.txt nor a uv.lock", path.display()),
                "write `uv pip compile --generate-hashes requirements.in -o requirements.txt`, or `uv lock`",
            )),
            (Builder::Node, _) => Err(RecipeError::new(
                format!("{} is no package-lock.json", path.display()),
                "`npm install --package-lock-only` writes one",
            )),
        }
    }

    /// Who builds it.
    pub fn builder(&self) -> Builder {
        match self {
            Self::Requirements(_) | Self::UvLock(_) => Builder::Python,
            Self::PackageLock(_) => Builder::Node,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Requirements(path) | Self::UvLock(path) | Self::PackageLock(path) => path,
        }
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether an environment could be made of it, as far as its files say.
    ///
    /// # Errors
    /// When they cannot be read, or something in them has no digest.
    pub fn check(&self) -> Result<(), RecipeError> {
        self.read().map(drop)
    }

    /// Reads its files and looks whether everything in them has a digest.
    pub(crate) fn read(&self) -> Result<Ingredients, RecipeError> {
        let path = self.path();
        let files = match self {
            Self::Requirements(_) => {
                let text = read(path)?;
                requirements::check(&text)?;
                vec![("requirements.txt", text)]
            }
            Self::UvLock(_) => {
                let (lock, project) = (read(path)?, read(&path.with_file_name("pyproject.toml"))?);
                uv_lock::check(&lock, &project)?;
                vec![("uv.lock", lock), ("pyproject.toml", project)]
            }
            Self::PackageLock(_) => {
                let lock = package_lock::checked(&read(path)?)?;
                let project = read(&path.with_file_name("package.json"))?;
                package_lock::check_project(&project)?;
                vec![("package-lock.json", lock), ("package.json", project)]
            }
        };
        Ok(Ingredients { files })
    }

    /// The word for it, which tells it from other kinds.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Requirements(_) => "requirements",
            Self::UvLock(_) => "uv-lock",
            Self::PackageLock(_) => "package-lock",
        }
    }
}

// === impl RecipeError ===

impl RecipeError {
    pub(crate) fn new(what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { what: what.into(), way_out: way_out.into() }
    }
}

// === impl Ingredients ===

impl Ingredients {
    /// Of all files, with their names: no text can run into the next.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for (name, content) in &self.files {
            for part in [name.as_bytes(), content] {
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part);
            }
        }
        Digest::of(&bytes)
    }
}

fn has_end(name: &str, end: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == end)
}

fn read(path: &Path) -> Result<Vec<u8>, RecipeError> {
    let failed = |error: &dyn std::fmt::Display| {
        let what = format!("{} cannot be read: {error}", path.display());
        RecipeError::new(what, "the files an environment is made of stand beside each other")
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    let taken: io::Result<usize> = file.take(LOCK_BYTES_MAX + 1).read_to_end(&mut bytes);
    taken.map_err(|error| failed(&error))?;
    if bytes.len() as u64 > LOCK_BYTES_MAX {
        return Err(failed(&format!("it has more than {LOCK_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name() {
        let of = |builder, name: &str| Recipe::of(builder, name.into());
        assert!(matches!(of(Builder::Python, "/a/requirements-agent.txt"), Ok(Recipe::Requirements(_))));
        assert!(matches!(of(Builder::Python, "/a/uv.lock"), Ok(Recipe::UvLock(_))));
        assert!(matches!(of(Builder::Node, "/a/package-lock.json"), Ok(Recipe::PackageLock(_))));
        for (builder, name) in
            [(Builder::Python, "pyproject.toml"), (Builder::Node, "uv.lock"), (Builder::Node, "x.txt")]
        {
            assert!(of(builder, name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_it_is_made_of_is_all_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("uv.lock");
        std::fs::write(&lock, "version = 1\n").unwrap();
        let recipe = Recipe::of(Builder::Python, lock).unwrap();
        assert!(recipe.check().unwrap_err().to_string().contains("pyproject.toml cannot be read"));
        let project = folder.path().join("pyproject.toml");
        std::fs::write(&project, "[project]\nname = 'one'\n").unwrap();
        let one = recipe.read().unwrap().digest();
        assert_eq!(one, recipe.read().unwrap().digest());
        std::fs::write(&project, "[project]\nname = 'two'\n").unwrap();
        assert_ne!(one, recipe.read().unwrap().digest());
    }
}
