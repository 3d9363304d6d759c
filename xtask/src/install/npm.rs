//! Node 22, the conformance suite, the servers of the Model Context Protocol and the libraries of model providers.

use std::fs;
use std::process::Command;

use super::stamp::Stamped;
use crate::error::{Error, at};
use crate::place::Place;
use crate::program;

/// Installs what the tests need.
pub fn install(place: &Place) -> Result<(), Error> {
    folder(place, "npm")
}

/// Installs the gateway that `bench llm` measures beside this one.
pub fn install_portkey(place: &Place) -> Result<(), Error> {
    folder(place, "npm-portkey")
}

/// Installs what a folder of tests/parts pins. No package may run a script of its own while it is installed.
fn folder(place: &Place, name: &str) -> Result<(), Error> {
    let source = |file: &str| place.manifest(&format!("{name}/{file}"));
    let sources = [source("package.json"), source("package-lock.json")];
    let stamped = Stamped::new(place.parts.join(name), &sources)?;
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
