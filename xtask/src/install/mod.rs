//! What others wrote, installed for the tests, with pinned versions.

mod npm;
mod python;
mod stamp;
mod tools;

use crate::error::Error;
use crate::place::Place;

pub use tools::cargo_deny;

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
    npm::install(place)?;
    python::install(place)?;
    cargo_deny(place)?;
    eprintln!("The parts are in {}.", place.parts.display());
    Ok(())
}
