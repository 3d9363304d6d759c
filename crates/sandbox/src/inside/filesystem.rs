//! The Landlock domain of a child: landlock(7).
//!
//! Landlock only allows, it never denies below what is allowed. Where a mount covers the hidden paths, all of
//! the root's folders are allowed but for raw devices and the kernel's switches. Where none does, every entry
//! beside the path to a hidden one is allowed by itself; the folders above it cannot be listed then, and what is
//! created in them later cannot be opened.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::OFlags;

use super::found::Found;
use super::{Setup, devices};
use crate::layer::LayerName;
use crate::limits::LANDLOCK_RULES_MAX;

/// The newest interface whose rights are asked for; older kernels enforce what they know.
pub(super) const NEWEST: ABI = ABI::V9;

/// Restricts this process and all it starts; returns whether that keeps hidden paths from being opened which no
/// mount covers.
pub(super) fn restrict(setup: &Setup<'_>, covered: bool, found: &mut Found) -> bool {
    let devices_are_private = found.is_in_force(LayerName::PrivateDevices);
    let mut domain = match Domain::new(setup, covered, devices_are_private) {
        Ok(domain) => domain,
        Err(why) => {
            found.missing(LayerName::Landlock, why);
            return false;
        }
    };
    let outcome = domain.allow_all().and_then(|()| domain.enforce());
    found.record(LayerName::Landlock, outcome) && !covered
}

struct Domain<'a> {
    setup: &'a Setup<'a>,
    rules: Option<RulesetCreated>,
    /// Paths that must stay unreachable: what no mount covers.
    denied: Vec<&'a Path>,
    /// Whether `/dev` holds only harmless devices already.
    devices_are_private: bool,
    allowed: usize,
}

impl<'a> Domain<'a> {
    fn new(setup: &'a Setup<'a>, covered: bool, devices_are_private: bool) -> Result<Self, String> {
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))
            .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
            .and_then(Ruleset::create)
            .map_err(|error| error.to_string())?;
        let mut denied: Vec<&Path> = Vec::new();
        if !covered {
            denied.extend(setup.hidden.iter().map(PathBuf::as_path));
        }
        // Where homes are folders side by side, a child gets its own and no other's.
        if setup.home != setup.homes {
            denied.push(setup.homes);
        }
        Ok(Self { setup, rules: Some(rules), denied, devices_are_private, allowed: 0 })
    }

    fn allow_all(&mut self) -> Result<(), String> {
        if self.denied.is_empty() {
            // Names may be listed everywhere: they were never secret.
            self.allow(Path::new("/"), AccessFs::ReadDir.into())?;
        }
        self.allow_beside(Path::new("/"))?;
        if self.setup.home != self.setup.homes {
            self.allow(self.setup.home, AccessFs::from_all(NEWEST))?;
        }
        Ok(())
    }

    /// Allows every entry of `folder` but the denied ones, going down where one lies deeper.
    fn allow_beside(&mut self, folder: &Path) -> Result<(), String> {
        let entries =
            fs::read_dir(folder).map_err(|error| format!("listing {}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("listing {}: {error}", folder.display()))?;
            let path = entry.path();
            // A link is judged by where it leads, when it is followed.
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) || self.denied.contains(&path.as_path())
            {
                continue;
            }
            if self.denied.iter().any(|denied| denied.starts_with(&path)) {
                self.allow_beside(&path)?;
            } else {
                self.allow_entry(&path)?;
            }
        }
        Ok(())
    }

    fn allow_entry(&mut self, path: &Path) -> Result<(), String> {
        match path.to_str() {
            Some("/proc" | "/sys") => self.allow(path, AccessFs::ReadFile | AccessFs::ReadDir),
            Some("/dev") if !self.devices_are_private => self.allow_devices(),
            _ => self.allow(path, AccessFs::from_all(NEWEST)),
        }
    }

    fn allow_devices(&mut self) -> Result<(), String> {
        self.allow(Path::new("/dev"), AccessFs::ReadDir.into())?;
        for path in devices::HARMLESS.into_iter().chain(["/dev/ptmx", "/dev/pts", "/dev/shm"]) {
            self.allow(Path::new(path), AccessFs::from_all(NEWEST))?;
        }
        Ok(())
    }

    /// Allows `rights` on a path and everything below it; a path that has gone needs no rule.
    fn allow(&mut self, path: &Path, rights: BitFlags<AccessFs>) -> Result<(), String> {
        let flags = (OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).bits();
        let Ok(file) = File::options().read(true).custom_flags(flags.cast_signed()).open(path) else {
            return Ok(());
        };
        let folder = file.metadata().is_ok_and(|metadata| metadata.is_dir());
        let rights = if folder { rights } else { rights & AccessFs::from_file(NEWEST) };
        self.allowed += 1;
        if self.allowed > LANDLOCK_RULES_MAX {
            return Err(format!("more than {LANDLOCK_RULES_MAX} entries lie beside the hidden paths"));
        }
        // INVARIANT: `rules` is Some except while a rule is being added, and an error ends the domain.
        let rules = self.rules.take().ok_or("the domain is spent")?;
        let rules = rules.add_rule(PathBeneath::new(file, rights)).map_err(|error| error.to_string())?;
        self.rules = Some(rules);
        Ok(())
    }

    fn enforce(&mut self) -> Result<String, String> {
        let rules = self.rules.take().ok_or("the domain is spent")?;
        let status = rules.restrict_self().map_err(|error| error.to_string())?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err(describe(&status.landlock));
        }
        Ok(describe(&status.landlock))
    }
}

pub(super) fn describe(status: &LandlockStatus) -> String {
    match status {
        LandlockStatus::NotEnabled => "built into the kernel but not enabled at boot".to_owned(),
        LandlockStatus::NotImplemented => "not in this kernel, or refused by a filter".to_owned(),
        LandlockStatus::Available { effective_abi, .. } => format!("ABI {}", *effective_abi as i32),
    }
}
