//! Changing inputs as what they are: what differs from a message in one value, or from a log in one entry, is seldom met by
//! changing bytes.

use ringfence_json::{Limits, Object, Value, parse};

/// Values that take the place of others.
const VALUES: [&str; 11] =
    ["null", "true", "0", "-7", "1.5", "1e400", "\"\"", "\"2.0\"", "[]", "{}", r#"{"code":1,"message":""}"#];

/// Names that members take: those of JSON-RPC, those of models' APIs, and near ones.
const NAMES: [&str; 24] = [
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
    "type",
    "text",
    "role",
    "content",
    "messages",
    "model",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "stream",
    "usage",
    "output_tokens",
];

/// Changes the first `size` bytes of `data` by `change`, every other time, and gives the new size; `None` where that is left
/// to the fuzzer: the other times, and what cannot be changed so or would not fit.
pub fn with(
    change: impl Fn(&[u8], u32) -> Option<Vec<u8>>,
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
) -> Option<usize> {
    let changed = seed.is_multiple_of(2).then(|| change(&data[..size], seed)).flatten();
    let changed = changed.filter(|changed| changed.len() <= max_size)?;
    data[..changed.len()].copy_from_slice(&changed);
    Some(changed.len())
}

/// The document with one value, chosen by the seed, replaced, wrapped, removed or given a member. `None` if it is not
/// JSON.
pub fn json(document: &[u8], seed: u32) -> Option<Vec<u8>> {
    Some(changed_document(document, &mut Random::of(seed))?.to_bytes())
}

/// The lines with one of them, chosen by the seed, gone, doubled, behind another, behind a free line, or changed as the
/// canonical JSON that an entry is. `None` if they do not begin as an entry does.
pub fn lines(text: &[u8], seed: u32) -> Option<Vec<u8>> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let mut random = Random::of(seed);
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(6) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        2 => lines.swap(one, other),
        3 => lines.insert(one, Vec::new()),
        _ => lines[one] = changed_document(&lines[one], &mut random)?.to_canonical(),
    }
    Some(lines.join(&b'\n'))
}

/// The stream with one of its lines gone, doubled, moved, or changed as the JSON that its data is. `None` if it has none.
pub fn stream(text: &[u8], seed: u32) -> Option<Vec<u8>> {
    const DATA: &[u8] = b"data: ";
    if !text.windows(DATA.len()).any(|window| window == DATA) {
        return None;
    }
    let mut random = Random::of(seed);
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(8) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        2 => lines.swap(one, other),
        3 => lines[one].push(b'\r'),
        _ => {
            let at = (one..lines.len()).chain(0..one).find(|at| lines[*at].starts_with(DATA))?;
            let changed = changed_document(&lines[at][DATA.len()..], &mut random)?;
            lines[at] = [DATA, &changed.to_bytes()].concat();
        }
    }
    Some(lines.join(&b'\n'))
}

fn changed_document(document: &[u8], random: &mut Random) -> Option<Value> {
    let mut value = parse(document, &Limits::default()).ok()?;
    let mut left = random.below(count(&value));
    change(&mut value, &mut left, random);
    Some(value)
}

/// Numbers that follow from a seed: xorshift64.
struct Random(u64);

impl Random {
    fn of(seed: u32) -> Self {
        // Zero would stay zero.
        Self(u64::from(seed) | 1 << 32)
    }

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
