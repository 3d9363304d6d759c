//! Where tiles and bundles are, and what they hold.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::hash::Hash;
use crate::error::{At, FileError};

/// How many hashes a full tile has, and how many entries a full bundle.
pub(crate) const TILE_WIDTH: usize = 256;

/// The "level" of bundles in a path.
pub(crate) const BUNDLE: &str = "entries";

/// One tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile<'a> {
    /// A level from 0 to 7, or [`BUNDLE`].
    pub(crate) level: &'a str,
    pub(crate) index: u64,
    /// Between 1 and [`TILE_WIDTH`].
    pub(crate) width: usize,
}

/// The `tile/` folder of a log.
#[derive(Debug, Clone)]
pub(crate) struct TreeFiles {
    folder: PathBuf,
}

/// The words for levels, so that no path allocates for one.
pub(crate) const LEVELS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

// === impl Tile ===

impl Tile<'_> {
    /// Its path under `tile/`: the index in groups of three digits, all but the last with an `x`; `.p/WIDTH` if partial.
    pub(crate) fn path(&self) -> String {
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.push(self.level.to_owned());
        groups.reverse();
        let full = groups.join("/");
        if self.width == TILE_WIDTH { full } else { format!("{full}.p/{}", self.width) }
    }

    fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }
}

// === impl TreeFiles ===

impl TreeFiles {
    pub(crate) fn new(log: &Path) -> Self {
        Self { folder: log.join("tile") }
    }

    pub(crate) fn path(&self, tile: Tile<'_>) -> PathBuf {
        self.folder.join(tile.path())
    }

    fn partials(&self, tile: Tile<'_>) -> PathBuf {
        self.folder.join(format!("{}.p", tile.full().path()))
    }

    /// Writes a tile, unless it is there already as it should be.
    pub(crate) fn write(&self, tile: Tile<'_>, bytes: &[u8], may_exist: bool) -> Result<(), FileError> {
        let path = self.path(tile);
        if may_exist && fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        match write_own(&path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).at("create", folder)?;
                }
                write_own(&path, bytes).at("write", &path)
            }
            written => written.at("write", &path),
        }
    }

    /// Removes the partial versions of a tile that its present width has made needless.
    pub(crate) fn remove_partials_but(&self, tile: Tile<'_>) -> io::Result<()> {
        let folder = self.partials(tile);
        let keep = tile.width.to_string();
        let listing = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listing => listing?,
        };
        for item in listing {
            let item = item?;
            if tile.width == TILE_WIDTH || item.file_name() != *keep {
                fs::remove_file(item.path())?;
            }
        }
        if tile.width == TILE_WIDTH { fs::remove_dir(&folder) } else { Ok(()) }
    }

    /// The bytes of a tile; the full tile, or a wider partial one, where this width has been replaced by it.
    pub(crate) fn read(&self, tile: Tile<'_>) -> Result<(Vec<u8>, PathBuf), FileError> {
        let path = self.path(tile);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tile.width < TILE_WIDTH => {}
            read => return read.map(|bytes| (bytes, path.clone())).at("read", &path),
        }
        let wider = self.wider(tile).unwrap_or_else(|| self.path(tile.full()));
        match fs::read(&wider) {
            Ok(bytes) => Ok((bytes, wider)),
            // What is missing is the tile that was asked for.
            Err(error) => Err(error).at("read", &path),
        }
    }

    fn wider(&self, tile: Tile<'_>) -> Option<PathBuf> {
        let widths = fs::read_dir(self.partials(tile)).ok()?.filter_map(|item| {
            let path = item.ok()?.path();
            let width: usize = path.file_name()?.to_str()?.parse().ok()?;
            (width >= tile.width).then_some(path)
        });
        widths.max()
    }

    /// The hashes of a tile, as many as its width says.
    pub(crate) fn hashes(&self, tile: Tile<'_>) -> Result<Vec<Hash>, FileError> {
        let (bytes, path) = self.read(tile)?;
        let mut hashes = bytes.as_chunks::<32>().0.to_vec();
        if hashes.len() < tile.width {
            let short = io::Error::new(io::ErrorKind::UnexpectedEof, "the tile is too short");
            return Err(short).at("read", &path);
        }
        hashes.truncate(tile.width);
        Ok(hashes)
    }
}

/// Writes a file that its owner alone reads: bundles hold what the log says.
fn write_own(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
    options.open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |level, index, width| Tile { level, index, width }.path();
        assert_eq!(path("0", 0, 256), "0/000");
        assert_eq!(path("entries", 1_234_067, 256), "entries/x001/x234/067");
        assert_eq!(path("3", 1_000, 112), "3/x001/000.p/112");
    }
}
