//! What an environment is made of, as the configuration names it, and what that says.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ringfence_types::{Builder, Digest};

use super::{named, package_lock, requirements, uv_lock};
use crate::limits::LOCK_BYTES_MAX;

/// The requirements of a recipe without those that are named: they are installed before.
pub(super) const WITHOUT_NAMED: &str = "without-named.txt";

/// What an environment is made of: a file that names every package, in one version, with the digest of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    kind: Kind,
    path: PathBuf,
    /// Packages whose code runs while it is built, as they are named.
    named: Vec<String>,
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `requirements.txt` with hashes.
    Requirements,
    /// `uv.lock`, beside its `pyproject.toml`.
    UvLock,
    /// `package-lock.json`, beside its `package.json`.
    PackageLock,
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
    /// The packages whose code runs, as words for the builder: names of packages for Python, places of those for Node.
    pub running: Vec<String>,
}

// === impl Recipe ===

impl Recipe {
    /// What a file is, by its name, among what `builder` takes.
    ///
    /// # Errors
    /// When it is nothing of the kind.
    pub fn of(builder: Builder, path: PathBuf) -> Result<Self, RecipeError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let kind = match (builder, name) {
            (Builder::Python, "uv.lock") => Kind::UvLock,
            (Builder::Python, name) if has_end(name, "txt") => Kind::Requirements,
            (Builder::Node, "package-lock.json") => Kind::PackageLock,
            (Builder::Python, _) => {
                return Err(RecipeError::new(
                    format!("{} is neither a requirements.txt nor a uv.lock", path.display()),
                    "write `uv pip compile --generate-hashes requirements.in -o requirements.txt`, or `uv lock`",
                ));
            }
            (Builder::Node, _) => {
                return Err(RecipeError::new(
                    format!("{} is no package-lock.json", path.display()),
                    "`npm install --package-lock-only` writes one",
                ));
            }
        };
        Ok(Self { kind, path, named: Vec::new() })
    }

    /// The same, where the code of these packages runs while it is built: install scripts, or what builds a wheel.
    #[must_use]
    pub fn running(self, named: Vec<String>) -> Self {
        Self { named, ..self }
    }

    /// Who builds it.
    pub fn builder(&self) -> Builder {
        match self.kind {
            Kind::Requirements | Kind::UvLock => Builder::Python,
            Kind::PackageLock => Builder::Node,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Packages whose code runs while it is built.
    pub fn named(&self) -> &[String] {
        &self.named
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether an environment could be made of it, as far as its files say.
    ///
    /// # Errors
    /// When they cannot be read, something in them has no digest, or a package that is named is not there.
    pub fn check(&self) -> Result<(), RecipeError> {
        self.read().map(drop)
    }

    /// Reads its files and looks whether everything in them has a digest.
    pub(crate) fn read(&self) -> Result<Ingredients, RecipeError> {
        let path = self.path();
        match self.kind {
            Kind::Requirements => {
                let (text, running) = (read(path)?, named::for_python(&self.named)?);
                requirements::check(&text)?;
                let first = requirements::without(&text, &running)?;
                let mut files = vec![("requirements.txt", text)];
                if !running.is_empty() {
                    files.push((WITHOUT_NAMED, first));
                }
                Ok(Ingredients { files, running })
            }
            Kind::UvLock => {
                let (lock, project) = (read(path)?, read(&path.with_file_name("pyproject.toml"))?);
                let running = named::for_python(&self.named)?;
                uv_lock::check(&lock, &project)?;
                uv_lock::check_named(&lock, &running)?;
                Ok(Ingredients { files: vec![("uv.lock", lock), ("pyproject.toml", project)], running })
            }
            Kind::PackageLock => {
                let (lock, places) = package_lock::checked(&read(path)?, &named::for_node(&self.named)?)?;
                let project = read(&path.with_file_name("package.json"))?;
                package_lock::check_project(&project)?;
                let files = vec![("package-lock.json", lock), ("package.json", project)];
                // So they are folders to `npm`, and no names.
                let running = places.iter().map(|place| format!("./{place}")).collect();
                Ok(Ingredients { files, running })
            }
        }
    }

    /// The word for it, which tells it from other kinds.
    pub(crate) const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Requirements => "requirements",
            Kind::UvLock => "uv-lock",
            Kind::PackageLock => "package-lock",
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
    /// Of all files, with their names, and of the packages whose code runs: no text can run into the next.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        let files = self.files.iter().map(|(name, content)| [name.as_bytes(), content]);
        // No file has the empty name.
        let running = self.running.iter().map(|word| [&b""[..], word.as_bytes()]);
        for parts in files.chain(running) {
            for part in parts {
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
        let kind = |builder, name: &str| of(builder, name).map(|recipe| recipe.kind());
        assert_eq!(kind(Builder::Python, "/a/requirements-agent.txt"), Ok(Kind::Requirements));
        assert_eq!(kind(Builder::Python, "/a/uv.lock"), Ok(Kind::UvLock));
        assert_eq!(kind(Builder::Node, "/a/package-lock.json"), Ok(Kind::PackageLock));
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

    #[test]
    fn whose_code_runs_is_part_of_what_it_is_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let hash = "0".repeat(64);
        let path = folder.path().join("requirements.txt");
        std::fs::write(&path, format!("one==1 --hash=sha256:{hash}\ntwo==2 --hash=sha256:{hash}\n")).unwrap();
        let digest = |named: &[&str]| {
            let recipe = Recipe::of(Builder::Python, path.clone()).unwrap();
            let recipe = recipe.running(named.iter().map(ToString::to_string).collect());
            recipe.read().map(|read| read.digest()).map_err(|error| error.to_string())
        };
        assert_ne!(digest(&[]), digest(&["one"]));
        assert_ne!(digest(&["two"]), digest(&["one"]));
        assert_eq!(digest(&["two", "one"]), digest(&["ONE", "two", "one"]));
        assert!(digest(&["three"]).unwrap_err().contains("no package `three`"));
        let of = |running: &[&str]| {
            let running = running.iter().map(ToString::to_string).collect();
            Ingredients { files: Vec::new(), running }.digest()
        };
        assert_ne!(of(&["ab"]), of(&["a", "b"]));
    }
}
