//! Building the targets.
//!
//! They are built with other flags than everything else, so in a folder of their own under the target folder. The flags
//! are those of `cargo fuzz build --sanitizer none`, all of which the stable compiler knows: nothing here is unsafe code
//! that a sanitizer would have to watch.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::place::Place;
use crate::program::{cargo, output, run};

/// What makes the compiler count which edges were taken, and tell the fuzzer what was compared.
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The targets, built.
pub struct Built {
    programs: PathBuf,
    /// The package of the targets.
    pub package: PathBuf,
    /// Where corpora grow and findings are kept.
    pub work: PathBuf,
}

impl Built {
    /// Builds what has changed.
    ///
    /// # Errors
    /// When it does not build.
    pub fn new(place: &Place) -> Result<Self, Error> {
        let package = place.repository.join("fuzz");
        let folder = place.target().join("fuzz");
        let host = host(&package)?;
        let mut build = cargo(&package);
        // Named, so that the flags are not given to build scripts and macros.
        build.args(["build", "--locked", "--release", "--bins", "--target", &host]);
        build.env("CARGO_TARGET_DIR", &folder).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
        run(&mut build)?;
        Ok(Self { programs: folder.join(host).join("release"), package, work: folder })
    }

    /// The program of one target.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// The machine that the compiler is for.
fn host(folder: &Path) -> Result<String, Error> {
    let said = output(Command::new("rustc").arg("-vV").current_dir(folder)).unwrap_or_default();
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned);
    host.ok_or(Error::Missing { program: "rustc", install: "rustup toolchain install" })
}
