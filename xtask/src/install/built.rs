//! What agents name that nodes build themselves: fetched and not installed, for the index that the tests serve.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::stamp::Stamped;
use crate::error::{Error, at};
use crate::place::Place;
use crate::program;

/// Where nodes look for the interpreter of the environments that they build.
const PYTHONS: [&str; 2] = ["/usr/local/bin/python3", "/usr/bin/python3"];

/// What says the version of a Python.
const VERSION: &str = "import sys; print('%d.%d' % sys.version_info[:2])";

/// Fetches what the locks of tests/parts/built name.
pub fn fetch(place: &Place) -> Result<(), Error> {
    wheels(place)?;
    packages(place)
}

/// The wheels for the Python that the tests' nodes will find. `pip` is that of an environment that is installed before this.
fn wheels(place: &Place) -> Result<(), Error> {
    let python = PYTHONS.into_iter().find(|path| Path::new(path).exists()).unwrap_or("python3");
    let version = program::output(Command::new(python).args(["-c", VERSION]));
    let missing = Error::Missing { program: "python3 under /usr", install: "apt-get install python3" };
    let version = version.ok_or(missing)?.trim().to_owned();
    let requirements = place.manifest("built/requirements.txt");
    let folder = place.parts.join("built/wheels");
    let stamped = Stamped::new(folder, std::slice::from_ref(&requirements))?.and(&version);
    if stamped.is_current() {
        return Ok(());
    }
    let folder = stamped.begin()?;
    let mut pip = Command::new(place.parts.join("python/tools/bin/python"));
    pip.args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--python-version", &version, "--dest"]);
    program::run(pip.arg(folder).arg("--requirement").arg(&requirements))?;
    stamped.finish()
}

/// The packages for Node, in a cache of npm's, which keeps files by their digests.
fn packages(place: &Place) -> Result<(), Error> {
    let sources = ["package.json", "package-lock.json"].map(|name| place.manifest(&format!("built/{name}")));
    let stamped = Stamped::new(place.parts.join("built/npm"), &sources)?;
    if stamped.is_current() {
        return Ok(());
    }
    let folder = stamped.begin()?;
    for source in &sources {
        if let Some(name) = source.file_name() {
            fs::copy(source, folder.join(name)).map_err(at(source))?;
        }
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--cache", "cache"]);
    program::run(npm.current_dir(folder))?;
    let installed = folder.join("node_modules");
    fs::remove_dir_all(&installed).map_err(at(&installed))?;
    stamped.finish()
}
