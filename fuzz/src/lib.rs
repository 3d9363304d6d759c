//! What must hold whatever a stranger sends, as functions that panic where it does not.
//!
//! Each module is a target: `check` takes any bytes and says whether the parser took them; then more must hold than
//! that nothing panicked. The programs in `targets/` give them to libFuzzer; `cargo xtask fuzz` builds and runs them.
#![expect(clippy::missing_panics_doc, reason = "a panic is how a target fails, everywhere in this crate")]

pub mod head;
pub mod log;
pub mod message;
pub mod mutate;
pub mod policy;
pub mod prices;
pub mod request;
mod segment;
pub mod stream;
pub mod translate;

use std::fs;
use std::path::Path;

/// Checks every seed of a target before the fuzzing begins: each must be taken, or the deeper promises are not tested.
pub fn seeds(name: &str, check: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let listing = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for file in listing {
        let path = file.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(check(&bytes), "the seed {} is not taken any more", path.display());
        count += 1;
    }
    assert!(count > 0, "{} has no seeds", folder.display());
}
