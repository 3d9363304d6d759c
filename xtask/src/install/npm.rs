//! Node 22, the conformance suite and the servers of the Model Context Protocol.

use std::fs;
use std::process::Command;

use super::stamp::Stamped;
use crate::error::{Error, at};
use crate::place::Place;
use crate::program;

/// Installs what tests/parts/npm pins. No package may run a script of its own while it is installed.
pub fn install(place: &Place) -> Result<(), Error> {
    let sources = [place.manifest("npm/package.json"), place.manifest("npm/package-lock.json")];
    let stamped = Stamped::new(place.parts.join("npm"), &sources)?;
    if stamped.is_current() {
        return Ok(());
    }
    if !program::answers(Command::new("npm").arg("--version")) {
        return Err(Error::Missing { program: "npm", install: "apt-get install nodejs npm" });
    }
    let folder = stamped.begin()?;
    for source in &sources {
        if let Some(name) = source.file_name() {
            fs::copy(source, folder.join(name)).map_err(at(source))?;
        }
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    program::run(&mut npm)?;
    stamped.finish()
}
