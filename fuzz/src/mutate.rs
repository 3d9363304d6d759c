//! Changing a message as JSON: what differs from a message in one value is seldom met by changing bytes.

use ringfence_json::{Limits, Object, Value, parse};

/// Values that take the place of others.
const VALUES: [&str; 11] =
    ["null", "true", "0", "-7", "1.5", "1e400", "\"\"", "\"2.0\"", "[]", "{}", r#"{"code":1,"message":""}"#];

/// Names that members take: those of JSON-RPC, and near ones.
const NAMES: [&str; 12] = [
    "jsonrpc",
    "id",
    "method",
    "params",
    "result",
    "error",
    "code",
    "message",
    "data",
    "arguments",
    "Method",
    "",
];

/// The document with one value, chosen by the seed, replaced, wrapped, removed or given a member. `None` if it is not
/// JSON.
pub fn json(document: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut value = parse(document, &Limits::default()).ok()?;
    let mut random = Random(u64::from(seed) | 1 << 32);
    let mut left = random.below(count(&value));
    change(&mut value, &mut left, &mut random);
    Some(value.to_bytes())
}

/// Numbers that follow from a seed: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn value(&mut self) -> Value {
        let text = VALUES[self.below(VALUES.len())];
        parse(text.as_bytes(), &Limits::default()).expect("each is JSON")
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }
}

/// How many values there are.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(count).sum(),
        Value::Object(object) => object.iter().map(|(_, member)| count(member)).sum(),
        _ => 0,
    }
}

/// Goes to the value that is `left` further on, and changes it.
fn change(value: &mut Value, left: &mut usize, random: &mut Random) -> bool {
    if *left == 0 {
        *value = changed(std::mem::replace(value, Value::Null), random);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(elements) => elements.iter_mut().any(|element| change(element, left, random)),
        Value::Object(object) => object.iter_mut().any(|(_, member)| change(member, left, random)),
        _ => false,
    }
}

fn changed(value: Value, random: &mut Random) -> Value {
    match (random.below(5), value) {
        (0, Value::Object(object)) => {
            let gone = random.below(object.len());
            object
                .into_iter()
                .enumerate()
                .filter(|(index, _)| *index != gone)
                .map(|(_, member)| member)
                .collect::<Object>()
                .into()
        }
        (1 | 2, Value::Object(mut object)) => {
            object.insert(random.name(), random.value());
            object.into()
        }
        (1, Value::Array(mut elements)) => {
            elements.push(random.value());
            Value::Array(elements)
        }
        (3, value) => Value::Array(vec![value]),
        (4, value) => Object::new().with(random.name(), value).into(),
        _ => random.value(),
    }
}
