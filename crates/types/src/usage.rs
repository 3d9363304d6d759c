//! What a model call used, token by token.

use ringfence_json::{Object, Value};

/// Tokens of one or more model calls. Every token is counted in one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Read, and neither from nor into a cache of the provider.
    pub input: u64,
    /// Read from a cache of the provider.
    pub cached_input: u64,
    /// Read, and written into a cache of the provider for a short time.
    pub cache_write: u64,
    /// Read, and written into a cache of the provider for an hour.
    pub cache_write_1h: u64,
    /// Written, other than reasoning.
    pub output: u64,
    /// Written while thinking.
    pub reasoning: u64,
}

const MEMBERS: [&str; 6] = ["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning"];

// === impl Usage ===

impl Usage {
    /// The kinds of tokens in the order of their names in [`Usage::to_object`].
    fn counts(&self) -> [u64; 6] {
        [self.input, self.cached_input, self.cache_write, self.cache_write_1h, self.output, self.reasoning]
    }

    /// All that was read.
    pub fn input_total(&self) -> u64 {
        [self.cached_input, self.cache_write, self.cache_write_1h]
            .into_iter()
            .fold(self.input, u64::saturating_add)
    }

    /// All that was written.
    pub fn output_total(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }

    /// The sums, kind by kind.
    pub fn plus(&self, other: &Self) -> Self {
        let (one, other) = (self.counts(), other.counts());
        let mut sums = [0; 6];
        for (sum, (one, other)) in sums.iter_mut().zip(one.into_iter().zip(other)) {
            *sum = one.saturating_add(other);
        }
        Self::of(sums)
    }

    fn of([input, cached_input, cache_write, cache_write_1h, output, reasoning]: [u64; 6]) -> Self {
        Self { input, cached_input, cache_write, cache_write_1h, output, reasoning }
    }

    /// The kinds that are not zero, as members.
    pub fn to_object(&self) -> Object {
        let named = MEMBERS.iter().zip(self.counts()).filter(|(_, count)| *count > 0);
        named.fold(Object::new(), |object, (name, count)| object.with(*name, count))
    }

    /// Reads what [`Usage::to_object`] writes; `None` when a member is no count.
    pub fn from_object(object: &Object) -> Option<Self> {
        let mut counts = [0; 6];
        for (count, name) in counts.iter_mut().zip(MEMBERS) {
            *count = object.get(name).map_or(Some(0), Value::as_u64)?;
        }
        Some(Self::of(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up_and_is_read_back() {
        let one =
            Usage { input: 1, cached_input: 2, cache_write: 3, cache_write_1h: 4, output: 5, reasoning: 6 };
        assert_eq!((one.input_total(), one.output_total(), one.total()), (10, 11, 21));
        let two = one.plus(&one);
        assert_eq!(two.total(), 42);
        assert_eq!(Usage::from_object(&two.to_object()), Some(two));
        assert_eq!(Usage::from_object(&Object::new()), Some(Usage::default()));
        assert_eq!(Usage::from_object(&Object::new().with("input", "many")), None);
        let most = Usage { input: u64::MAX, ..one };
        assert_eq!(most.plus(&one).total(), u64::MAX, "a provider that lies makes no small sum");
    }
}
