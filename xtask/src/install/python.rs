//! The agent frameworks, each group in an environment of its own, because their requirements contradict.

use std::process::Command;

use super::stamp::Stamped;
use crate::error::Error;
use crate::place::Place;
use crate::program;

/// The environments; each is made from `requirements-NAME.txt`.
const ENVIRONMENTS: [&str; 3] = ["agents", "langgraph", "tools"];

/// The oldest Python that the pinned versions run on.
const OLDEST: &str = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// Installs what the tests need.
pub fn install(place: &Place) -> Result<(), Error> {
    ENVIRONMENTS.into_iter().try_for_each(|name| environment(place, name))
}

/// Installs the gateway that `bench llm` measures beside this one.
pub fn install_litellm(place: &Place) -> Result<(), Error> {
    environment(place, "litellm")
}

/// Makes an environment from what tests/parts/python pins for it.
fn environment(place: &Place, name: &str) -> Result<(), Error> {
    let requirements = place.manifest(&format!("python/requirements-{name}.txt"));
    let folder = place.parts.join("python").join(name);
    let stamped = Stamped::new(folder, std::slice::from_ref(&requirements))?;
    if stamped.is_current() {
        return Ok(());
    }
    if !program::answers(Command::new("python3").args(["-c", OLDEST])) {
        return Err(Error::Missing {
            program: "python3 (3.11 or newer, with venv)",
            install: "apt-get install python3 python3-venv",
        });
    }
    let folder = stamped.begin()?;
    program::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r"]);
    program::run(pip.arg(&requirements))?;
    stamped.finish()
}
