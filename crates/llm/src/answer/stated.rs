//! Counts as a provider states them, which may be anything.

use ringfence_json::{Object, Value};

/// More tokens than any call can have: a count above it is read as this and doubted.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// Reads counts out of an object, and notices what is no count.
pub(super) struct Counts<'a> {
    object: Option<&'a Object>,
    /// Something was no count.
    pub doubtful: bool,
}

// === impl Counts ===

impl<'a> Counts<'a> {
    pub fn of(object: &'a Object) -> Self {
        Self { object: Some(object), doubtful: false }
    }

    /// The counts in a member; `null` and nothing have none.
    pub fn within(&mut self, names: &[&str]) -> Counts<'a> {
        let member = self.member(names);
        let object = member.and_then(Value::as_object);
        self.doubtful |= member.is_some() && object.is_none();
        Counts { object, doubtful: false }
    }

    /// The count under the first of these names that there is.
    pub fn get(&mut self, names: &[&str]) -> Option<u64> {
        let (count, is_sound) = count(self.member(names)?);
        self.doubtful |= !is_sound;
        Some(count)
    }

    fn member(&self, names: &[&str]) -> Option<&'a Value> {
        let object = self.object?;
        names.iter().find_map(|name| object.get(name).filter(|value| !value.is_null()))
    }
}

/// The least whole number that is not below what is stated, and whether that was a count.
fn count(value: &Value) -> (u64, bool) {
    let literal = match value {
        Value::Number(number) => number.as_str(),
        Value::String(text) => text.trim(),
        _ => return (0, false),
    };
    if let Ok(count) = literal.parse::<u64>() {
        return (count.min(TOKENS_MAX), count <= TOKENS_MAX && matches!(value, Value::Number(_)));
    }
    let Some(stated) = literal.parse::<f64>().ok().filter(|stated| *stated > 0.0) else {
        // Less than nothing, or no number.
        return (0, false);
    };
    #[expect(clippy::cast_precision_loss, reason = "the bound is exact as a float")]
    let most = TOKENS_MAX as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between nothing and the bound"
    )]
    let count = stated.ceil().min(most) as u64;
    // Some write `12.0` and mean 12.
    let is_whole = stated.fract() == 0.0 && stated <= most;
    (count, is_whole && matches!(value, Value::Number(_)))
}
