//! What room there is for payloads, by class.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::PayloadClass;
use super::files::ClassFile;
use crate::disk::Faults;
use crate::error::SealError;
use crate::limits::{PAYLOAD_AHEAD_BYTES, PAYLOAD_CLASSES_MAX};

/// The classes that are open, and what may still be promised in each.
// INVARIANT: per class, disk allocated beyond what is written >= free + what is promised and not yet written.
#[derive(Debug, Default)]
pub(crate) struct Book {
    state: Mutex<State>,
    /// What [`State::is_short`] said last: the writer asks under a lock that must not wait for a class being opened.
    short: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    incarnation: u64,
    classes: BTreeMap<PayloadClass, Class>,
}

#[derive(Debug)]
struct Class {
    free: u64,
    /// Only until the writer takes it over.
    file: Option<ClassFile>,
    /// Somebody wants the file to be followed by another, so that it can be pruned.
    rotate: bool,
}

// === impl State ===

impl State {
    /// Whether the writer has something to do here.
    fn is_short(&self) -> bool {
        self.classes.values().any(|class| class.rotate || class.free < PAYLOAD_AHEAD_BYTES * 3 / 4)
    }
}

// === impl Book ===

impl Book {
    /// Begins anew; earlier promises are void.
    pub(crate) fn begin(&self, incarnation: u64) {
        let mut state = self.state.lock();
        *state = State { incarnation, classes: BTreeMap::new() };
        self.note(&state);
    }

    /// Takes room for a record of `bytes`, opening the class first if it is new. Only that touches the disk.
    pub(crate) fn take(
        &self,
        class: &PayloadClass,
        bytes: u64,
        incarnation: u64,
        open: impl FnOnce() -> Result<ClassFile, SealError>,
    ) -> Result<(), SealError> {
        // Opening under the lock: two callers must not both begin a class.
        let mut state = self.state.lock();
        if state.incarnation != incarnation {
            return Err(SealError::Ended);
        }
        if !state.classes.contains_key(class) {
            if state.classes.len() >= PAYLOAD_CLASSES_MAX {
                return Err(SealError::TooManyClasses);
            }
            let file = open()?;
            state
                .classes
                .insert(class.clone(), Class { free: file.ahead(), file: Some(file), rotate: false });
        }
        let free = state.classes.get_mut(class).map(|class| &mut class.free).ok_or(SealError::Full)?;
        let left = free.checked_sub(bytes).ok_or(SealError::Full);
        *free = left.clone().unwrap_or(*free);
        self.note(&state);
        left.map(drop)
    }

    /// Returns room that was not used.
    pub(crate) fn give_back(&self, class: &PayloadClass, bytes: u64, incarnation: u64) {
        let mut state = self.state.lock();
        if state.incarnation == incarnation
            && let Some(class) = state.classes.get_mut(class)
        {
            class.free += bytes;
        }
        self.note(&state);
    }

    fn note(&self, state: &State) {
        self.short.store(state.is_short(), Ordering::Release);
    }

    /// The classes that were opened since the last call, for the writer.
    pub(crate) fn opened(&self) -> Vec<(PayloadClass, ClassFile)> {
        let mut state = self.state.lock();
        let taken = state.classes.iter_mut();
        taken.filter_map(|(name, class)| class.file.take().map(|file| (name.clone(), file))).collect()
    }

    /// Whether the class has a file that is written to.
    pub(crate) fn is_open(&self, class: &PayloadClass) -> bool {
        self.state.lock().classes.contains_key(class)
    }

    /// Asks that what is written to a class from now on goes to another file.
    pub(crate) fn ask_rotation(&self, class: &PayloadClass) {
        let mut state = self.state.lock();
        if let Some(class) = state.classes.get_mut(class) {
            class.rotate = true;
        }
        self.note(&state);
    }

    /// Whether the class was asked to rotate; not again after this.
    pub(crate) fn take_rotation(&self, class: &PayloadClass) -> bool {
        let mut state = self.state.lock();
        let asked = state.classes.get_mut(class).is_some_and(|class| std::mem::take(&mut class.rotate));
        self.note(&state);
        asked
    }

    /// Whether the writer has something to do here.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// How much more each class should have allocated ahead, in bytes.
    pub(crate) fn wanted(&self) -> Vec<(PayloadClass, u64)> {
        let state = self.state.lock();
        let short = state.classes.iter().filter(|(_, class)| class.free < PAYLOAD_AHEAD_BYTES * 3 / 4);
        short.map(|(name, class)| (name.clone(), PAYLOAD_AHEAD_BYTES - class.free)).collect()
    }

    /// The writer has allocated that much more.
    pub(crate) fn grow(&self, class: &PayloadClass, bytes: u64) {
        let mut state = self.state.lock();
        if let Some(class) = state.classes.get_mut(class) {
            class.free += bytes;
        }
        self.note(&state);
    }

    /// Opens the file of a class: the next number, with space allocated ahead.
    pub(crate) fn open_class(
        folder: &Path,
        class: &PayloadClass,
        faults: &Faults,
    ) -> Result<ClassFile, SealError> {
        ClassFile::create(&folder.join(class.as_str()), PAYLOAD_AHEAD_BYTES, faults).map_err(|error| {
            if crate::disk::is_full(&error.source) {
                SealError::Full
            } else {
                SealError::System(error.to_string())
            }
        })
    }
}
