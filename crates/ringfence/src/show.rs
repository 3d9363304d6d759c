//! Members of answers as people read them: everything escaped, because some of it comes from agents and tools.

use ringfence_control::shown;
use ringfence_json::{Object, Value};
use ringfence_types::format_size;

/// The most characters of arguments or a result that are shown at once.
const JSON_CHARACTERS_MAX: usize = 8000;

/// Writes more to a text.
pub fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    use std::fmt::Write as _;
    // Writing to a String does not fail.
    let _ = text.write_fmt(more);
}

/// A text, or nothing.
pub fn field(object: &Object, name: &str) -> String {
    object.text(name).map(shown::line).unwrap_or_default()
}

/// A number, or nothing.
pub fn number(object: &Object, name: &str) -> String {
    object.get(name).and_then(Value::as_number).map(|number| shown::line(number.as_str())).unwrap_or_default()
}

/// So many bytes, with no more places than people read.
pub fn size(object: &Object, name: &str) -> String {
    let bytes = object.get(name).and_then(Value::as_u64).unwrap_or_default();
    let unit = [30, 20, 10].into_iter().find(|unit| bytes >> unit >= 10).unwrap_or(0);
    format_size(bytes >> unit << unit)
}

/// A list of texts with commas between; a dash if there are none.
pub fn texts(object: &Object, name: &str) -> String {
    let elements = object.get(name).and_then(Value::as_array).unwrap_or_default();
    let texts: Vec<String> = elements.iter().filter_map(Value::as_str).map(shown::line).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
}

/// A list of objects.
pub fn objects<'o>(object: &'o Object, name: &str) -> Vec<&'o Object> {
    let elements = object.get(name).and_then(Value::as_array).unwrap_or_default();
    elements.iter().filter_map(Value::as_object).collect()
}

/// A moment without its fraction of a second.
pub fn moment(object: &Object, name: &str) -> String {
    let text = field(object, name);
    match text.split_once('.') {
        Some((seconds, _)) if text.ends_with('Z') => format!("{seconds}Z").replace('T', " "),
        _ => text,
    }
}

/// `server/tool`, or whichever of them there is; of a model call, `model` and its name; of a host, that and its port; of the start of
/// a run, `run of` its agent.
pub fn tool(object: &Object) -> String {
    let model = field(object, "model");
    if !model.is_empty() {
        return format!("model {model}");
    }
    let (host, spawns) = (field(object, "host"), field(object, "spawns"));
    if !host.is_empty() {
        return format!("{host}:{}", number(object, "port"));
    }
    if !spawns.is_empty() {
        return format!("run of {spawns}");
    }
    match (field(object, "server"), field(object, "tool")) {
        (server, tool) if tool.is_empty() => server,
        (server, tool) if server.is_empty() => tool,
        (server, tool) => format!("{server}/{tool}"),
    }
}

/// JSON over several lines, each indented, escaped and bounded.
pub fn json(value: &Value, indent: &str) -> String {
    let mut text = String::new();
    pretty(value, 0, &mut text);
    shown::block(&text, indent, JSON_CHARACTERS_MAX)
}

/// JSON on one line, escaped and bounded.
pub fn json_line(value: &Value, characters_max: usize) -> String {
    shown::text(&String::from_utf8_lossy(&value.to_bytes()), characters_max)
}

fn pretty(value: &Value, depth: usize, out: &mut String) {
    let pad = |depth: usize| "  ".repeat(depth);
    match value {
        Value::Object(object) if !object.is_empty() => {
            out.push_str("{\n");
            for (index, (name, member)) in object.iter().enumerate() {
                let name = String::from_utf8_lossy(&Value::from(name.clone()).to_bytes()).into_owned();
                add(out, format_args!("{}{name}: ", pad(depth + 1)));
                pretty(member, depth + 1, out);
                out.push_str(if index + 1 < object.len() { ",\n" } else { "\n" });
            }
            add(out, format_args!("{}}}", pad(depth)));
        }
        Value::Array(elements) if elements.iter().any(|element| element.as_object().is_some()) => {
            out.push_str("[\n");
            for (index, element) in elements.iter().enumerate() {
                out.push_str(&pad(depth + 1));
                pretty(element, depth + 1, out);
                out.push_str(if index + 1 < elements.len() { ",\n" } else { "\n" });
            }
            add(out, format_args!("{}]", pad(depth)));
        }
        plain => out.push_str(&String::from_utf8_lossy(&plain.to_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, shown) in [
            (0_u64, "0"),
            (1_000, "1000"),
            (10_240, "10Ki"),
            (3_000_000, "2929Ki"),
            (10 << 20, "10Mi"),
            (10 << 30, "10Gi"),
        ] {
            assert_eq!(size(&Object::new().with("bytes", bytes), "bytes"), shown);
        }
    }

    #[test]
    fn json_is_laid_out_and_nothing_in_it_escapes() {
        let value =
            Object::new().with("a", "x\u{202e}").with("b", Value::Array(vec![1u64.into(), 2u64.into()]));
        assert_eq!(json(&value.into(), "  "), "  {\n    \"a\": \"x\\u{202e}\",\n    \"b\": [1,2]\n  }");
    }
}
