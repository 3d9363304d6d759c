//! Arguments, and what a definition says of them.

use crate::plain::Json;
use crate::random::Random;

/// An argument of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As constraints call it, with dots.
    pub name: &'static str,
    pub values: Values,
}

/// What usually stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Numbers,
    Names,
    Ports,
    Switches,
}

const FIELDS: [Field; 24] = [
    Field { name: "n", values: Values::Numbers },
    Field { name: "replicas", values: Values::Numbers },
    Field { name: "max_replicas", values: Values::Numbers },
    Field { name: "min_n", values: Values::Numbers },
    Field { name: "spec.n", values: Values::Numbers },
    Field { name: "spec.limits.cpu", values: Values::Numbers },
    Field { name: "items.n", values: Values::Numbers },
    Field { name: "result_bytes", values: Values::Numbers },
    Field { name: "max_result_bytes", values: Values::Numbers },
    Field { name: "timeout", values: Values::Numbers },
    Field { name: "rate", values: Values::Numbers },
    Field { name: "namespace", values: Values::Names },
    Field { name: "namespaces", values: Values::Names },
    Field { name: "tag", values: Values::Names },
    Field { name: "tags", values: Values::Names },
    Field { name: "allowed_namespaces", values: Values::Names },
    Field { name: "denied_tags", values: Values::Names },
    Field { name: "spec.namespace", values: Values::Names },
    Field { name: "spec.namespaces", values: Values::Names },
    Field { name: "items.tag", values: Values::Names },
    Field { name: "redact", values: Values::Names },
    Field { name: "port", values: Values::Ports },
    Field { name: "ports", values: Values::Ports },
    Field { name: "force", values: Values::Switches },
];

pub const USUAL_NUMBERS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "7", "9", "10", "12", "50", "-4"];
pub const ODD_NUMBERS: [&str; 14] = [
    "1e1",
    "10.0",
    "1E+1",
    "100e-1",
    "2.5",
    "-0",
    "0.0",
    "10.0000000000000000001",
    "9.9999999999999999999",
    "9007199254740993",
    "123456789012345678901234567890",
    "-123456789012345678901234567890.5",
    "1e400",
    "1e-400",
];
const NAMES: [&str; 5] = ["app", "staging", "kube-system", "App", "app*"];
const PORTS: [&str; 5] = ["22", "80", "443", "443.0", "2.2e1"];

/// The arguments that a policy and its calls are about.
pub fn fields(random: &mut Random) -> Vec<Field> {
    random.some(&FIELDS, 7)
}

pub fn number(random: &mut Random) -> String {
    let odd = random.percent(25);
    random.pick(if odd { &ODD_NUMBERS[..] } else { &USUAL_NUMBERS[..] }).to_owned()
}

/// A value that such an argument usually has.
pub fn usual(random: &mut Random, values: Values) -> Json {
    match values {
        Values::Numbers => Json::Number(number(random)),
        Values::Names => Json::text(random.pick(&NAMES)),
        Values::Ports if random.percent(20) => Json::text(random.pick(&PORTS)),
        Values::Ports if random.percent(3) => Json::text(random.pick(&[" 22", "2.2e1 ", "022", "0x16"])),
        Values::Ports => Json::number(random.pick(&PORTS)),
        Values::Switches if random.percent(20) => Json::text(random.pick(&["true", "True", " FALSE", "yes"])),
        Values::Switches => Json::Bool(random.percent(50)),
    }
}

/// A value that an agent might send there: mostly the usual, in arrays, or something else.
pub fn sent(random: &mut Random, values: Values) -> Json {
    match random.below(40) {
        0..=31 => usual(random, values),
        32..=34 => Json::Array((0..random.below(4)).map(|_| usual(random, values)).collect()),
        35 => {
            let inner = Json::Array(vec![usual(random, values), usual(random, values)]);
            Json::Array(vec![usual(random, values), inner])
        }
        36 => Json::Null,
        37 => Json::Text(number(random)),
        38 if random.percent(50) => Json::Array(vec![usual(random, values), Json::Null]),
        38 => Json::object(vec![("n", usual(random, values))]),
        _ => {
            let other = random.pick(&[Values::Names, Values::Ports, Values::Switches]);
            usual(random, other)
        }
    }
}

/// Puts a value where a dotted name leads.
pub fn put(random: &mut Random, arguments: &mut Vec<(String, Json)>, name: &str, value: Json) {
    let Some((first, rest)) = name.split_once('.').filter(|_| !random.percent(8)) else {
        arguments.retain(|(found, _)| found != name);
        arguments.push((name.to_owned(), value));
        return;
    };
    let place = arguments.iter().position(|(found, _)| found == first).unwrap_or_else(|| {
        let empty = Json::Object(Vec::new());
        let all = match first {
            "items" => vec![empty.clone(); random.weighted(&[(1, 0), (6, 1), (3, 2)])],
            _ if random.percent(10) => vec![empty.clone(), empty.clone()],
            _ => Vec::new(),
        };
        let stray = random.pick(&[Json::Null, Json::number("5"), Json::text("app"), empty.clone()]);
        let value = match first {
            _ if random.percent(6) => stray,
            "items" => Json::Array(all),
            _ if !all.is_empty() => Json::Array(all),
            _ => empty,
        };
        arguments.push((first.to_owned(), value));
        arguments.len() - 1
    });
    put_inside(random, &mut arguments[place].1, rest, &value);
}

fn put_inside(random: &mut Random, around: &mut Json, name: &str, value: &Json) {
    match around {
        Json::Object(members) => put(random, members, name, value.clone()),
        Json::Array(elements) => {
            for element in elements {
                // Some elements lack what others have.
                if random.percent(92) {
                    put_inside(random, element, name, value);
                }
            }
        }
        _ => {}
    }
}

/// A definition of some of the fields.
pub fn schema(random: &mut Random, fields: &[Field]) -> Json {
    let mut properties = Vec::new();
    for field in fields {
        if random.percent(70) {
            declare(random, &mut properties, field.name, field.values);
        }
    }
    Json::object(vec![("type", Json::text("object")), ("properties", Json::Object(properties))])
}

fn declare(random: &mut Random, properties: &mut Vec<(String, Json)>, name: &str, values: Values) {
    let Some((first, rest)) = name.split_once('.').filter(|_| !random.percent(5)) else {
        let default = match random.below(20) {
            0..=7 => Some(usual(random, values)),
            8 => Some(sent(random, values)),
            _ => None,
        };
        let members = default.map(|default| ("default", tame(default))).into_iter().collect();
        if properties.iter().all(|(found, _)| found != name) {
            properties.push((name.to_owned(), Json::object(members)));
        }
        return;
    };
    let place = properties.iter().position(|(found, _)| found == first).unwrap_or_else(|| {
        properties.push((first.to_owned(), around(random, first == "items", rest, values)));
        properties.len() - 1
    });
    let mut schema = &mut properties[place].1;
    if schema.get("items").is_some() {
        schema = member_mut(schema, "items");
    }
    if let Json::Object(inner) = member_mut(schema, "properties") {
        declare(random, inner, rest, values);
    }
}

/// The schema of an object, or of an array of them, without members yet.
fn around(random: &mut Random, many: bool, name: &str, values: Values) -> Json {
    let object = vec![("type", Json::text("object")), ("properties", Json::Object(Vec::new()))];
    let mut schema =
        if many { vec![("type", Json::text("array")), ("items", Json::object(object))] } else { object };
    if random.percent(25) {
        let mut members = Vec::new();
        if random.percent(75) {
            let value = sent(random, values);
            put(random, &mut members, name, value);
        }
        let default = tame(Json::Object(members));
        schema.push(("default", if many { Json::Array(vec![default]) } else { default }));
    }
    Json::object(schema)
}

/// A definition may only have numbers that a double can stand for.
fn tame(value: Json) -> Json {
    match value {
        Json::Number(literal) if literal.len() > 8 || literal.ends_with("400") => Json::number("11"),
        Json::Array(elements) => Json::Array(elements.into_iter().map(tame).collect()),
        Json::Object(members) => {
            Json::Object(members.into_iter().map(|(name, member)| (name, tame(member))).collect())
        }
        other => other,
    }
}

fn member_mut<'a>(value: &'a mut Json, name: &str) -> &'a mut Json {
    let Json::Object(members) = value else { panic!("no object") };
    &mut members.iter_mut().find(|(found, _)| found == name).unwrap().1
}
