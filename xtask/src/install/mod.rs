//! What others wrote, installed for the tests, with pinned versions.

mod built;
mod npm;
mod python;
mod stamp;
mod tools;

use std::process::Command;

use crate::error::Error;
use crate::place::Place;
use crate::program;

pub use tools::cargo_deny;

/// What people use in scripts, and what the tests start in sandboxes, and around them: what it answers to, and how to get it.
const PROGRAMS: [(&str, &str, &str); 7] = [
    ("curl", "--version", "apt-get install curl"),
    ("git", "--version", "apt-get install git"),
    ("busybox", "--help", "apt-get install busybox-static"),
    ("runc", "--version", "apt-get install runc"),
    ("crun", "--version", "apt-get install crun"),
    ("runsc", "--version", "apt-get install runsc"),
    ("docker-registry", "--version", "apt-get install docker-registry"),
];

/// Installs the gateways that `cargo xtask bench llm` measures beside this one, and the Node that one of them runs on. They
/// are too heavy for `install`: 800 MB.
///
/// # Errors
/// When a program that is needed for it is not on this machine, or does not succeed: most often without a network.
pub fn peers(place: &Place) -> Result<(), Error> {
    npm::install(place)?;
    npm::install_portkey(place)?;
    python::install_litellm(place)
}

/// Installs everything that is missing or has changed.
///
/// # Errors
/// When a program that is needed for it is not on this machine, or does not succeed.
pub fn everything(place: &Place) -> Result<(), Error> {
    for (program, argument, install) in PROGRAMS {
        if !program::answers(Command::new(program).arg(argument)) {
            return Err(Error::Missing { program, install });
        }
    }
    npm::install(place)?;
    python::install(place)?;
    built::fetch(place)?;
    cargo_deny(place)?;
    eprintln!("The parts are in {}.", place.parts.display());
    Ok(())
}
