//! What was used last stays longest.

use std::collections::{BTreeMap, HashMap};

use super::Key;

/// Values with their sizes, in the order in which they were used. It has no bound of its own: whoever puts something in
/// takes out what is [`oldest`](Lru::oldest) first.
#[derive(Debug)]
pub(super) struct Lru<V> {
    values: HashMap<Key, Slot<V>>,
    /// By when they were used.
    // INVARIANT: holds exactly the keys of `values`, each under its `used`.
    order: BTreeMap<u64, Key>,
    next: u64,
    // INVARIANT: the sum of the sizes in `values`.
    bytes: u64,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: u64,
    used: u64,
}

// === impl Lru ===

impl<V> Lru<V> {
    /// Whether there is a value. That does not use it.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.values.contains_key(key)
    }

    /// The value, which was used last from now on.
    pub(super) fn touch(&mut self, key: &Key) -> Option<&V> {
        let slot = self.values.get_mut(key)?;
        self.order.remove(&slot.used);
        slot.used = self.next;
        self.order.insert(self.next, *key);
        self.next += 1;
        Some(&slot.value)
    }

    /// Puts a value in, in the place of the one before.
    pub(super) fn insert(&mut self, key: Key, value: V, bytes: u64) {
        self.remove(&key);
        let used = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.order.insert(used, key);
        self.values.insert(key, Slot { value, bytes, used });
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<V> {
        let slot = self.values.remove(key)?;
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        Some(slot.value)
    }

    /// What was not used for longest.
    pub(super) fn oldest(&self) -> Option<Key> {
        self.order.first_key_value().map(|(_, key)| *key)
    }

    /// The keys of the values of which this holds.
    pub(super) fn keys_where(&self, holds: impl Fn(&V) -> bool) -> Vec<Key> {
        self.values.iter().filter(|(_, slot)| holds(&slot.value)).map(|(key, _)| *key).collect()
    }

    /// The sizes of all values together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

impl<V> Default for Lru<V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), next: 0, bytes: 0 }
    }
}
