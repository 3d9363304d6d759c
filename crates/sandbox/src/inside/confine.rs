//! The Landlock domain of a child in a root of its own: landlock(7).
//!
//! The root holds nothing but what was listed; the domain says once more what of it can be changed. All of it can be
//! read and executed, and the rest of the rights stand on the writable places alone.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use landlock::{
    Access, AccessFs, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use rustix::fs::OFlags;

use super::filesystem::{NEWEST, describe};
use super::found::Found;
use crate::layer::LayerName;

/// Restricts this process and all it starts.
pub(super) fn restrict(writable: &[PathBuf], found: &mut Found) {
    found.record(LayerName::Landlock, enforce(writable));
}

fn enforce(writable: &[PathBuf]) -> Result<String, String> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(|error| error.to_string())?;
    let all = AccessFs::from_all(NEWEST);
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let mut rules = allow(rules, Path::new("/"), AccessFs::from_read(NEWEST))?;
    rules = allow(rules, Path::new("/dev"), all & !devices)?;
    for path in writable {
        rules = allow(rules, path, all & !devices)?;
    }
    let status = rules.restrict_self().map_err(|error| error.to_string())?;
    let described = describe(&status.landlock);
    if status.ruleset == RulesetStatus::NotEnforced { Err(described) } else { Ok(described) }
}

fn allow(rules: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let flags = (OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).bits();
    let file = File::options()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let folder = file.metadata().is_ok_and(|metadata| metadata.is_dir());
    let rights = if folder { rights } else { rights & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(file, rights)).map_err(|error| error.to_string())
}
