//! A folder knows what was installed into it, so that a second run costs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, at};

/// The file in which a folder keeps what it was made from.
const NAME: &str = ".installed-from";

/// A folder and the files it is made from.
pub struct Stamped {
    folder: PathBuf,
    contents: String,
}

impl Stamped {
    /// Reads what the folder should be made from.
    ///
    /// # Errors
    /// When one of the files cannot be read.
    pub fn new(folder: PathBuf, sources: &[PathBuf]) -> Result<Self, Error> {
        let mut contents = String::new();
        for source in sources {
            contents += &fs::read_to_string(source).map_err(at(source))?;
        }
        Ok(Self { folder, contents })
    }

    /// Has it depend on more than files: on a version, say.
    pub fn and(mut self, more: &str) -> Self {
        self.contents += more;
        self
    }

    /// Whether it was made from just that.
    pub fn is_current(&self) -> bool {
        fs::read_to_string(self.folder.join(NAME)).is_ok_and(|contents| contents == self.contents)
    }

    /// Empties the folder, so that nothing old remains.
    ///
    /// # Errors
    /// When it cannot be emptied.
    pub fn begin(&self) -> Result<&Path, Error> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(at(&self.folder))?;
        }
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        Ok(&self.folder)
    }

    /// Notes that everything is in its place.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        let path = self.folder.join(NAME);
        fs::write(&path, self.contents).map_err(at(&path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Stamped;

    #[test]
    fn a_folder_is_current_once_it_is_finished_and_until_its_sources_change() {
        let place = tempfile::tempdir().unwrap();
        let (folder, source) = (place.path().join("folder"), place.path().join("source"));
        fs::write(&source, "one").unwrap();
        let stamped = || Stamped::new(folder.clone(), std::slice::from_ref(&source)).unwrap();

        let first = stamped();
        assert!(!first.is_current());
        fs::write(first.begin().unwrap().join("old"), "").unwrap();
        assert!(!stamped().is_current(), "begun is not finished");
        first.finish().unwrap();
        assert!(stamped().is_current());

        assert!(!stamped().and("3.12").is_current());
        fs::write(&source, "two").unwrap();
        assert!(!stamped().is_current());
        assert!(!stamped().begin().unwrap().join("old").exists());
    }
}
