//! Every payload that is named and not pruned is there and has its name.
//!
//! Payloads are stored in the order of the entries that name them, so one walk along each class is enough.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ringfence_types::Digest;

use super::report::{Broken, VerifyError};
use crate::error::At;
use crate::payload::{ClassIndex, PayloadClass, Records, content_of};

/// Walks along all classes.
pub(crate) struct Payloads {
    folder: PathBuf,
    walks: HashMap<Box<str>, Walk>,
    pub(crate) found: u64,
    pub(crate) pruned: u64,
}

struct Walk {
    index: ClassIndex,
    /// The segment that is being walked along.
    current: Option<(u64, Records)>,
}

// === impl Payloads ===

impl Payloads {
    pub(crate) fn new(log: &Path) -> Self {
        Self { folder: log.join("payloads"), walks: HashMap::new(), found: 0, pruned: 0 }
    }

    pub(crate) fn check(&mut self, entry: u64, class: &str, name: &str) -> Result<(), VerifyError> {
        let broken = |what: &str| Broken::entry(entry, what);
        let name: Digest = name.parse().map_err(|_| broken("the name of a payload is not a digest"))?;
        if !self.walks.contains_key(class) {
            let class = PayloadClass::new(class).map_err(|error| broken(&error.to_string()))?;
            let index = ClassIndex::read(&self.folder, class.as_str())?;
            self.walks.insert(class.as_str().into(), Walk { index, current: None });
        }
        let Some(walk) = self.walks.get_mut(class) else { return Ok(()) };
        if entry < walk.index.pruned_before {
            self.pruned += 1;
            return Ok(());
        }
        walk.check(entry, &name, &self.folder, class)?;
        self.found += 1;
        Ok(())
    }
}

// === impl Walk ===

impl Walk {
    fn check(&mut self, entry: u64, name: &Digest, folder: &Path, class: &str) -> Result<(), VerifyError> {
        let segment = self.segment_for(entry, folder, class)?;
        let Some(segment) = segment else {
            let what = "the segment that held the entry's payload is gone";
            return Err(Broken::file(self.index.folder().to_owned(), 0, what).of_entry(entry).into());
        };
        let (_, records) = match &mut self.current {
            Some(current) if current.0 == segment.number => current,
            other => other.insert((segment.number, self.index.records(segment)?)),
        };
        let found = records.find(name).at("read", &records.path)?;
        let Some(record) = found else {
            let what = format!("the payload {name} of the entry is not in its segment");
            return Err(Broken::file(records.path.clone(), records.offset, &what).of_entry(entry).into());
        };
        if Digest::of(&record.stored) != record.name || content_of(&record.stored).is_none() {
            let what = format!("the payload {name} was changed: it does not hash to its name");
            return Err(Broken::file(records.path.clone(), record.offset, &what).of_entry(entry).into());
        }
        Ok(())
    }

    /// A running node may have begun segments since the index was read.
    fn segment_for(
        &mut self,
        entry: u64,
        folder: &Path,
        class: &str,
    ) -> Result<Option<crate::payload::Segment>, VerifyError> {
        let is_last =
            |index: &ClassIndex, number| index.segments.last().is_some_and(|last| last.number == number);
        let found = self.index.segment_for(entry);
        if found.is_none_or(|segment| is_last(&self.index, segment.number)) {
            let number = found.map(|segment| segment.number);
            if number.is_none() || self.current.as_ref().is_none_or(|current| Some(current.0) != number) {
                self.index = ClassIndex::read(folder, class)?;
            }
        }
        Ok(self.index.segment_for(entry))
    }
}
