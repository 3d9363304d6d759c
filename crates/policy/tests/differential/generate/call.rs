//! Calls.

use std::collections::BTreeMap;

use super::arguments::{Field, put, sent};
use super::words::of_key;
use crate::model::{Call, KEYS};
use crate::plain::Json;
use crate::random::Random;

/// A call about some of the fields; `schemas` are the definitions it may be of.
pub fn call(random: &mut Random, fields: &[Field], schemas: &[Json]) -> Call {
    let kind = random.weighted(&[
        (70, "tool_call"),
        (12, "model_call"),
        (10, "egress"),
        (4, "credential"),
        (4, "spawn"),
    ]);
    let mut values = BTreeMap::new();
    for key in KEYS {
        // Now and then an action that has everything, or nothing that it need not have.
        let present = match key {
            "kind" => {
                values.insert(key, vec![kind.to_owned()]);
                continue;
            }
            "role" | "labels" => {
                let count = random.below(3);
                let words: Vec<String> = of_key(key).iter().map(ToString::to_string).collect();
                values.insert(key, random.some(&words, count));
                continue;
            }
            "user" => 80,
            "risk" => 60,
            "server" | "tool" | "capability" | "action" => {
                if kind == "tool_call" {
                    95
                } else {
                    3
                }
            }
            "model" => {
                if kind == "model_call" {
                    97
                } else {
                    3
                }
            }
            "host" => {
                if kind == "egress" {
                    97
                } else {
                    3
                }
            }
            _ => 100,
        };
        if random.percent(present) {
            values.insert(key, vec![random.pick(of_key(key)).to_owned()]);
        }
    }
    let has_arguments = kind == "tool_call" || random.percent(50);
    let mut arguments = Vec::new();
    for field in fields {
        if has_arguments && random.percent(78) {
            let value = sent(random, field.values);
            put(random, &mut arguments, field.name, value);
        }
    }
    let schema = (kind == "tool_call" && random.percent(75)).then(|| random.pick(schemas));
    Call { values, arguments: Json::Object(arguments), schema }
}
