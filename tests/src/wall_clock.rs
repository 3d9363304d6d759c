//! A wall clock that can be set, for one program only: see `wall_clock.c`.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::parts::repository;

/// The clock; it can be set while a program runs that has it in its environment.
pub struct WallClock {
    folder: TempDir,
}

impl WallClock {
    /// Builds it, with the compiler that links every Rust program, and sets it right.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let clock = Self { folder };
        clock.set(0);
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(clock.library());
        compiler.arg(repository().join("tests/src/wall_clock.c")).arg("-ldl");
        let built = compiler.status().unwrap_or_else(|error| panic!("cc: {error}; install build-essential"));
        assert!(built.success(), "wall_clock.c does not build");
        clock
    }

    /// Sets it so many seconds ahead of the machine's, or behind.
    pub fn set(&self, seconds: i64) {
        let path = self.offset();
        // In its place: the program has the file mapped.
        let write = || {
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_le_bytes(), 0)
        };
        write().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// What a program needs in its environment to live by this clock.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("LD_PRELOAD", self.library()), ("WALL_CLOCK_OFFSET", self.offset())]
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("wall_clock.so")
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}
