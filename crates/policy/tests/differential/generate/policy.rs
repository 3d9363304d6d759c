//! Policies.

use super::arguments::{Field, Values, number, usual};
use super::words::{of_key, patterns};
use crate::model::{File, KEYS, Rate, Rule, Setting, Terms, When};
use crate::plain::Json;
use crate::random::Random;

const TIMEOUTS: [(&str, u128); 4] = [("500ms", 500), ("5s", 5_000), ("30s", 30_000), ("1m", 60_000)];
const SIZES: [(&str, u64); 4] = [("512", 512), ("4Ki", 4 << 10), ("64Ki", 64 << 10), ("1Mi", 1 << 20)];
const RATES: [(&str, u32, u128); 4] =
    [("30/m", 30, 60_000), ("5/s", 5, 1_000), ("100/h", 100, 3_600_000), ("2/d", 2, 86_400_000)];
const POINTERS: [&str; 3] = ["/user/email", "/items/0", "/a~1b"];
const EXPIRES: [(&str, u128); 3] = [("90s", 90_000), ("1h", 3_600_000), ("2d", 172_800_000)];
/// What `max_` and `min_` of a world mostly are, so that they seldom contradict each other.
const UPPER: [&str; 8] = ["5", "10", "10.0", "1e1", "9.5", "40", "9007199254740992", "1e30"];
const LOWER: [&str; 6] = ["-3", "0", "1", "1.0", "2.5", "-1e30"];

/// The files of one policy.
pub fn policy(random: &mut Random, fields: &[Field]) -> Vec<File> {
    let files = random.weighted(&[(70, 1), (20, 2), (10, 3)]);
    let mut rules = 0;
    (0..files)
        .map(|_| {
            let default = random.weighted(&[
                (35, None),
                (35, Some("ALLOW")),
                (20, Some("REQUIRE_APPROVAL")),
                (10, Some("DENY")),
            ]);
            let count = if files == 1 { 2 + random.below(6) } else { random.below(5) };
            let file_rules = (0..count).map(|index| rule(random, fields, rules + index)).collect();
            rules += count;
            File { default, rules: file_rules }
        })
        .collect()
}

fn rule(random: &mut Random, fields: &[Field], number: usize) -> Rule {
    let keys = random.weighted(&[(14, 0), (42, 1), (30, 2), (14, 3)]);
    let on = random.some(&KEYS, keys).into_iter().map(|key| (key, patterns(random, key))).collect();
    let decision = random.weighted(&[
        (22, "ALLOW"),
        (42, "ALLOW_WITH_CONSTRAINTS"),
        (24, "REQUIRE_APPROVAL"),
        (12, "DENY"),
    ]);
    let constraints = match decision {
        "ALLOW_WITH_CONSTRAINTS" => constraints(random, fields, 1),
        "REQUIRE_APPROVAL" => constraints(random, fields, 0),
        _ => Vec::new(),
    };
    Rule {
        name: format!("rule-{number}"),
        on,
        when: random.percent(10).then(|| when(random, fields)),
        decision,
        constraints,
        approval: (decision == "REQUIRE_APPROVAL" && random.percent(60)).then(|| terms(random)),
        shadow: random.percent(12),
        reason: random.percent(25).then(|| format!("Because of {number}.")),
    }
}

fn terms(random: &mut Random) -> Terms {
    let count = random.below(3);
    let (text, ms) = random.pick(&EXPIRES);
    Terms {
        approvers: random.some(&["lead", "dba", "security"].map(String::from), count),
        quorum: random.percent(50).then(|| u32::try_from(1 + random.below(3)).unwrap()),
        // An `approval` that says nothing might be no mapping.
        expires: (count == 0 || random.percent(50)).then(|| (text.to_owned(), ms)),
    }
}

fn constraints(random: &mut Random, fields: &[Field], least: usize) -> Vec<(String, Setting)> {
    let count = least + random.below(3);
    let mut all: Vec<(String, Setting)> = Vec::new();
    for _ in 0..count {
        let (key, setting) = if random.percent(32) { general(random) } else { on_argument(random, fields) };
        let other_side = other_side(random, &key);
        let denied = denied_bound(random, &key, &setting);
        for (key, setting) in std::iter::once((key, setting)).chain(other_side).chain(denied) {
            if all.iter().all(|(known, _)| *known != key) {
                all.push((key, setting));
            }
        }
    }
    all
}

/// Now and then a minimum beside a maximum; some contradict each other.
fn other_side(random: &mut Random, key: &str) -> Option<(String, Setting)> {
    let name = key.strip_prefix("max_").filter(|name| *name != "result_bytes" && random.percent(15))?;
    let contradicts = random.percent(50);
    let literal = random.pick(if contradicts { &UPPER[..] } else { &LOWER[..] });
    Some((format!("min_{name}"), Setting::Bound(literal.to_owned())))
}

/// Now and then a list that denies just what a number would be narrowed to.
fn denied_bound(random: &mut Random, key: &str, setting: &Setting) -> Option<(String, Setting)> {
    let (_, name) = key.split_once('_')?;
    let Setting::Bound(literal) = setting else { return None };
    random.percent(10).then(|| (format!("denied_{name}"), Setting::List(vec![Json::number(literal)])))
}

fn general(random: &mut Random) -> (String, Setting) {
    let (key, setting) = match random.below(4) {
        0 => {
            let (text, ms) = random.pick(&TIMEOUTS);
            ("timeout", Setting::Timeout(text.to_owned(), ms))
        }
        1 => {
            let (text, bytes) = random.pick(&SIZES);
            ("max_result_bytes", Setting::Size(text.to_owned(), bytes))
        }
        2 => {
            let (text, count, per_ms) = random.pick(&RATES);
            ("rate", Setting::Rate(Rate { text: text.to_owned(), count, per_ms }))
        }
        _ => {
            let count = 1 + random.below(2);
            ("redact", Setting::Redact(random.some(&POINTERS.map(String::from), count)))
        }
    };
    (key.to_owned(), setting)
}

fn on_argument(random: &mut Random, fields: &[Field]) -> (String, Setting) {
    let field = random.pick(fields);
    let bounds = field.values == Values::Numbers && random.percent(85) || random.percent(6);
    // An argument may be called like a whole constraint.
    let whole = field.name.split_once('_').map_or("", |(prefix, _)| prefix);
    let exact = random.percent(60);
    // `max_result_bytes` is general, so it cannot be had for the argument `result_bytes`.
    if bounds && field.name != "result_bytes" {
        let upper = random.percent(60);
        let literal = if random.percent(12) {
            number(random)
        } else {
            random.pick(if upper { &UPPER[..] } else { &LOWER[..] }).to_owned()
        };
        let key = match whole {
            "max" | "min" if exact && field.name != "max_result_bytes" => field.name.to_owned(),
            _ => format!("{}{}", if upper { "max_" } else { "min_" }, field.name),
        };
        return (key, Setting::Bound(literal));
    }
    let allows = random.percent(50);
    let prefix = if allows { "allowed_" } else { "denied_" };
    // In the plural of what may be in the singular, and the other way round.
    let name = match random.below(10) {
        0..=3 => format!("{}s", field.name.trim_end_matches('s')),
        4 => field.name.trim_end_matches('s').to_owned(),
        _ => field.name.to_owned(),
    };
    let key = if exact && matches!(whole, "allowed" | "denied") {
        field.name.to_owned()
    } else {
        format!("{prefix}{name}")
    };
    let count = if key.starts_with("allowed_") { 2 + random.below(4) } else { 1 + random.below(2) };
    (key, Setting::List(list(random, field.values, count)))
}

fn list(random: &mut Random, values: Values, count: usize) -> Vec<Json> {
    let mut all: Vec<Json> = Vec::new();
    for _ in 0..count {
        let kind = if random.percent(85) {
            values
        } else {
            random.pick(&[Values::Ports, Values::Names, Values::Switches])
        };
        let value = if random.percent(5) { Json::Null } else { usual(random, kind) };
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

fn when(random: &mut Random, fields: &[Field]) -> When {
    let word = |random: &mut Random, key: &str| random.pick(of_key(key)).to_owned();
    let simple: Vec<&Field> = fields.iter().filter(|field| !field.name.contains('.')).collect();
    if simple.is_empty() || random.percent(55) {
        return match random.below(4) {
            0 => When::Contains("role", word(random, "role")),
            1 => When::Contains("labels", word(random, "labels")),
            2 => When::Is("user", word(random, "user")),
            _ => When::Is("risk", word(random, "risk")),
        };
    }
    let field = random.pick(&simple);
    match (random.below(3), field.values) {
        (0, _) => When::Has(field.name),
        (_, Values::Numbers) => When::Above(field.name, i64::try_from(random.below(12)).unwrap()),
        _ => When::InputIs(field.name, "app".to_owned()),
    }
}
