//! Constraints as they are written.

use std::cmp::Ordering;

use ringfence_document::{Content, Key, Node, Report, Scalar};
use ringfence_json::{Number, Value};
use ringfence_types::{Rate, parse_duration, parse_size};

use super::{ArgumentConstraint, Constraints, Limit, Names};
use crate::limits::{ALLOWED_VALUES_MAX, CONSTRAINTS_MAX, NUMBER_BYTES_MAX};

/// The keys that are not about arguments.
const GENERAL: [&str; 4] = ["timeout", "max_result_bytes", "rate", "redact"];
const PREFIXES: [&str; 4] = ["max_", "min_", "allowed_", "denied_"];
const FORMS: &str = "write max_NAME, min_NAME, allowed_NAME or denied_NAME, or one of timeout, max_result_bytes, rate, redact";

impl Constraints {
    /// Reads a mapping of constraints; what is wrong goes into the report.
    pub(crate) fn read(node: &Node, report: &mut Report) -> Self {
        let mut constraints = Self::default();
        let Some(members) = node.as_mapping() else {
            report.error(node.place, format!("`constraints` must be a mapping, not {}", node.kind()));
            return constraints;
        };
        if members.len() > CONSTRAINTS_MAX {
            report.error(node.place, format!("more than {CONSTRAINTS_MAX} constraints in one rule"));
            return constraints;
        }
        for (key, value) in members {
            constraints.read_one(key, value, report);
        }
        constraints.warn_of_contradictions(report);
        constraints
    }

    fn read_one(&mut self, key: &Key, value: &Node, report: &mut Report) {
        match key.text.as_str() {
            "timeout" => self.timeout = value.parsed("`timeout`", parse_duration, report),
            "max_result_bytes" => {
                self.max_result_bytes = value.parsed("`max_result_bytes`", parse_size, report);
            }
            "rate" => self.rate = value.parsed("`rate`", str::parse::<Rate>, report),
            "redact" => self.redact = read_pointers(value, report),
            _ => self.arguments.extend(read_argument(key, value, report)),
        }
    }

    /// A minimum above the maximum of the same name: every call will be refused.
    fn warn_of_contradictions(&self, report: &mut Report) {
        for minimum in &self.arguments {
            let Limit::Min(least) = &minimum.limit else { continue };
            let above = self.arguments.iter().find(|maximum| {
                maximum.names.likeliest() == minimum.names.likeliest()
                    && matches!(&maximum.limit, Limit::Max(most) if least.compare(most) == Ordering::Greater)
            });
            if let Some(maximum) = above {
                let message =
                    format!("`{}` is above `{}`: every call is refused", minimum.written, maximum.written);
                report.warning(minimum.place, message);
            }
        }
    }
}

fn read_argument(key: &Key, value: &Node, report: &mut Report) -> Option<ArgumentConstraint> {
    let Some((prefix, rest)) =
        PREFIXES.iter().find_map(|prefix| Some((*prefix, key.text.strip_prefix(prefix)?)))
    else {
        let message = format!("unknown constraint `{}`", key.text);
        match ringfence_document::nearest(&key.text, GENERAL) {
            Some(near) => report.error_with_hint(key.place, message, format!("did you mean `{near}`?")),
            None => report.error_with_hint(key.place, message, FORMS),
        }
        return None;
    };
    let is_list = matches!(prefix, "allowed_" | "denied_");
    let names = Names::new(&key.text, rest, is_list);
    if names.is_none() {
        report.error(key.place, format!("`{}` names no argument", key.text));
    }
    let limit = match prefix {
        "max_" => Limit::Max(read_number(key, value, report)?),
        "min_" => Limit::Min(read_number(key, value, report)?),
        "allowed_" => Limit::Allowed(read_values(key, value, report)?),
        _ => Limit::Denied(read_values(key, value, report)?),
    };
    Some(ArgumentConstraint { written: key.text.clone(), place: key.place, names: names?, limit })
}

fn read_number(key: &Key, value: &Node, report: &mut Report) -> Option<Number> {
    let scalar = value.as_scalar().filter(|scalar| scalar.plain && scalar.text.len() <= NUMBER_BYTES_MAX);
    let number = scalar.and_then(|scalar| Number::new(&scalar.text).ok());
    if number.is_none() {
        let message = format!("`{}` must be a number without quotes, such as 10 or 2.5", key.text);
        report.error(value.place, message);
    }
    number
}

fn read_values(key: &Key, value: &Node, report: &mut Report) -> Option<Box<[Value]>> {
    let nodes = value.one_or_many();
    if nodes.is_empty() {
        let message = format!("`{}` is an empty list", key.text);
        report.error_with_hint(value.place, message, "to refuse every value, write a rule with DENY");
        return None;
    }
    if nodes.len() > ALLOWED_VALUES_MAX {
        report.error(value.place, format!("`{}` has more than {ALLOWED_VALUES_MAX} values", key.text));
        return None;
    }
    let values: Vec<Option<Value>> = nodes.iter().map(|node| read_value(key, node, report)).collect();
    values.into_iter().collect()
}

fn read_value(key: &Key, node: &Node, report: &mut Report) -> Option<Value> {
    let Content::Scalar(scalar) = &node.content else {
        report.error(
            node.place,
            format!("a value of `{}` must be a single value, not {}", key.text, node.kind()),
        );
        return None;
    };
    if scalar.plain && scalar.text.is_empty() {
        report.error(node.place, format!("a value of `{}` is empty", key.text));
        return None;
    }
    if is_ambiguous(scalar) {
        let message = format!("`{}` could be a text or something else", scalar.text);
        let hint = "put it in quotes if it is a text, else write it as JSON does";
        report.error_with_hint(node.place, message, hint);
        return None;
    }
    if scalar.text.contains(['*', '?']) {
        let message =
            format!("`*` and `?` in `{}` stand for themselves: values are compared as they are", key.text);
        report.warning(node.place, message);
    }
    Some(typed(scalar))
}

/// The value as JSON has it.
fn typed(scalar: &Scalar) -> Value {
    if scalar.is_null() {
        return Value::Null;
    }
    if let Some(truth) = scalar.as_bool() {
        return Value::Bool(truth);
    }
    match Number::new(&scalar.text) {
        Ok(number) if scalar.plain => Value::Number(number),
        _ => Value::String(scalar.text.clone()),
    }
}

/// What YAML 1.2.2 §10.3.2 takes for a number or truth value and JSON does not: `+1`, `.5`, `0x1F`, `012`, `True`.
fn is_ambiguous(scalar: &Scalar) -> bool {
    let text = scalar.text.as_str();
    if !scalar.plain || Number::new(text).is_ok() {
        return false;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let radix = |prefix: &str, radix: u32| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    let decimal = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.parse::<f64>().is_ok();
    let word = matches!(
        text,
        "True" | "TRUE" | "False" | "FALSE" | ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    );
    decimal || word || radix("0x", 16) || radix("0o", 8)
}

fn read_pointers(value: &Node, report: &mut Report) -> Vec<String> {
    let mut pointers = Vec::new();
    for node in value.one_or_many() {
        let Some(text) = node.text("a pointer of `redact`", report) else { continue };
        if is_pointer(text) {
            pointers.push(text.to_string());
        } else {
            let message = format!("`{text}` is not a JSON Pointer");
            report.error_with_hint(node.place, message, "write /name/of/member, with ~1 for / and ~0 for ~");
        }
    }
    pointers
}

/// RFC 6901 §3, without the empty one: it would leave nothing of the result.
fn is_pointer(text: &str) -> bool {
    let escapes_hold = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    text.starts_with('/') && escapes_hold
}
