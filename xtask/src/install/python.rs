//! The agent frameworks, each group in an environment of its own, because their requirements contradict.

use std::process::Command;

use super::stamp::Stamped;
use crate::error::Error;
use crate::place::Place;
use crate::program;

/// The environments; each is made from `requirements-NAME.txt`.
const ENVIRONMENTS: [&str; 2] = ["agents", "langgraph"];

/// The oldest Python that the pinned versions run on.
const OLDEST: &str = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// Installs what tests/parts/python pins.
pub fn install(place: &Place) -> Result<(), Error> {
    for environment in ENVIRONMENTS {
        let requirements = place.manifest(&format!("python/requirements-{environment}.txt"));
        let folder = place.parts.join("python").join(environment);
        let stamped = Stamped::new(folder, std::slice::from_ref(&requirements))?;
        if stamped.is_current() {
            continue;
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
        stamped.finish()?;
    }
    Ok(())
}
