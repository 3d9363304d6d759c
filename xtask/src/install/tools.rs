//! Tools that are built from source.

use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;
use crate::place::Place;
use crate::program;

/// The version of cargo-deny that reads our deny.toml.
const CARGO_DENY: &str = "0.20.2";

/// cargo-deny, installed if it is missing; the one on the machine is taken if it has the same version.
///
/// # Errors
/// When it cannot be built.
pub fn cargo_deny(place: &Place) -> Result<PathBuf, Error> {
    let ours = place.tool("cargo-deny");
    for program in [PathBuf::from("cargo-deny"), ours.clone()] {
        let said = program::output(Command::new(&program).arg("--version"));
        if said.is_some_and(|said| said.split_whitespace().any(|word| word == CARGO_DENY)) {
            return Ok(program);
        }
    }
    let mut install = program::cargo(&place.repository);
    install.args(["install", "--locked", "--force", "cargo-deny", "--version", CARGO_DENY, "--root"]);
    program::run(install.arg(place.parts.join("tools")))?;
    Ok(ours)
}
