//! When the writer takes a batch: at once where somebody waits, soon where nobody does, and not too often under load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::queue::{Queue, Taken};
use crate::writer::Writer;

/// How long an entry may wait that nobody waits for. A crash loses it, and the action's outcome is then unknown.
const LINGER: Duration = Duration::from_millis(5);

/// How soon after the start of one batch the next may start, if the one had at least [`CROWD`] entries.
const PACE: Duration = Duration::from_micros(500);

/// Entries in a batch from which on many append at once.
const CROWD: u32 = 6;

/// What there is to do.
pub(crate) enum Work {
    Entries(Taken),
    Space,
    Closed,
}

// === impl Writer ===

impl Writer {
    /// Waits for entries, or until it is time to ask for space.
    pub(crate) fn wait(&mut self, buffer: Vec<u8>) -> Work {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue.lock();
        // What nobody waits for stays until then for what somebody does: one sync for both.
        let mut until = Instant::now() + LINGER;
        loop {
            if queue.urgent || queue.closing || Instant::now() >= until {
                if queue.count > 0 {
                    self.gather(&mut queue);
                    break;
                }
                if queue.closing {
                    queue.alive = false;
                    return Work::Closed;
                }
                if !self.sleep(&mut queue) {
                    return Work::Space;
                }
                until = Instant::now() + LINGER;
            } else {
                shared.wake.wait_until(&mut queue, until);
            }
        }
        match queue.take(buffer) {
            Some(taken) => Work::Entries(taken),
            // There was something a moment ago, under the same lock; asked again, `wait` says what there is.
            None => Work::Space,
        }
    }

    /// Where many append at once, a batch that is taken with the first of them makes the others pay for a sync of their
    /// own: give them a moment.
    fn gather(&mut self, queue: &mut MutexGuard<'_, Queue>) {
        let until = self.last_start + PACE;
        if self.last_count >= CROWD {
            while !queue.closing && queue.alive && !self.shared.wake.wait_until(queue, until).timed_out() {}
        }
        self.last_count = queue.count;
        self.last_start = Instant::now();
    }

    /// Sleeps until there is something to do; false when that is to ask for space.
    fn sleep(&self, queue: &mut MutexGuard<'_, Queue>) -> bool {
        queue.asleep = true;
        let short = queue.spares.is_empty() || self.shared.book.is_short();
        let mut timed_out = false;
        if short {
            timed_out = self.shared.wake.wait_until(queue, self.next_try).timed_out();
        } else {
            self.shared.wake.wait(queue);
        }
        queue.asleep = false;
        !(timed_out && queue.count == 0)
    }
}
