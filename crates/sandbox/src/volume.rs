//! Folders in memory that outlive a child in the node's hands.

use std::path::PathBuf;

use crate::error::SpawnError;
use crate::limits::{VOLUME_FILES, VOLUMES_MAX};
use crate::root::{Root, unfit};

/// One volume of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Where it is in the child's root.
    pub(crate) target: PathBuf,
    /// Its size at most.
    pub(crate) bytes: u64,
}

// === impl Volume ===

impl Volume {
    /// Files and folders it holds at most. A file takes memory also when it is empty: as many as pages, within reason.
    pub(crate) fn files(&self) -> u64 {
        (self.bytes / 4_096).clamp(*VOLUME_FILES.start(), *VOLUME_FILES.end())
    }
}

/// What cannot be mounted whatever the machine holds.
pub(crate) fn validate(volumes: &[Volume], root: Option<&Root>) -> Result<(), SpawnError> {
    let invalid = |what: String| Err(SpawnError::Invalid(what));
    let Some(first) = volumes.first() else { return Ok(()) };
    let Some(root) = root else {
        return invalid(format!("the volume {} takes a root of the child's own", first.target.display()));
    };
    if volumes.len() > VOLUMES_MAX {
        return invalid(format!("{} volumes; at most {VOLUMES_MAX}", volumes.len()));
    }
    for (index, volume) in volumes.iter().enumerate() {
        let target = volume.target.display();
        if let Some(why) = unfit(&volume.target) {
            return invalid(format!("the target {target} of a volume {why}"));
        }
        let others = volumes.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.map(|(_, other)| &other.target);
        let mut others = others.chain(root.entries.iter().map(|entry| &entry.target)).chain([&root.home]);
        // Whoever reads a volume from outside must not come to anything else.
        if let Some(other) = others.find(|other| other.starts_with(&volume.target)) {
            return invalid(format!(
                "the volume {target} would hold {}, which is another part of the root",
                other.display()
            ));
        }
        if volume.bytes == 0 {
            // For tmpfs, size 0 means without a bound.
            return invalid(format!("the volume {target} has 0 bytes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    #[test]
    fn volumes_that_cannot_be_or_that_cover_something_are_refused() {
        let boxed = || Command::new("true").root(Root::system());
        let refused = [
            Command::new("true").volume("/state", 1),
            boxed().volume("state", 1),
            boxed().volume("/a/../state", 1),
            boxed().volume("/proc/state", 1),
            boxed().volume("/", 1),
            boxed().volume("/state", 0),
            boxed().volume("/work", 1),
            boxed().volume("/tmp", 1),
            boxed().volume("/v", 1).volume("/v/w", 1),
            Command::new("true").root(Root::system().read_only("/srv", "/v/data")).volume("/v", 1),
            boxed().volume("/state", 1).volume("/state", 1),
            (0..=VOLUMES_MAX).fold(boxed(), |command, n| command.volume(format!("/v{n}"), 1)),
        ];
        for command in refused {
            assert!(matches!(command.validate(), Err(SpawnError::Invalid(_))), "{command:?}");
        }
        assert!(boxed().volume("/agent/state", 1).volume("/agent/out", 1).validate().is_ok());
    }

    #[test]
    fn files_are_as_many_as_pages_within_bounds() {
        let files = |bytes| Volume { target: "/v".into(), bytes }.files();
        assert_eq!([files(1), files(8 << 20), files(1 << 40)], [1_024, 2_048, 65_536]);
    }
}
