//! The words of the world, and patterns that are about them.

use crate::random::Random;

/// The values that actions have under a key.
pub fn of_key(key: &str) -> &'static [&'static str] {
    match key {
        "organization" => &["acme", "globex"],
        "workspace" => &["research", "ops"],
        "environment" => &["production", "staging"],
        "agent" => &["assistant", "janitor", "assistant-2"],
        "user" => &["mia", "jürgen", "Mia"],
        "role" => &["engineer", "lead", "intern"],
        "kind" => &["tool_call", "model_call", "egress", "credential", "spawn"],
        "server" => &["cluster", "base"],
        "tool" => &["deploy_app", "list_pods", "drop_table"],
        "model" => &["smart", "fast"],
        "host" => &["api.example.com", "API.Example.com", "example.com.", "db.internal"],
        "capability" => &["kubernetes", "database"],
        "action" => &["deploy", "list", "drop"],
        "action_type" => &["read", "write"],
        "risk" => &["low", "high"],
        "labels" => &["infra", "pii", "v1.2"],
        _ => unreachable!("not a key: {key}"),
    }
}

/// One to three patterns for a key, none twice.
pub fn patterns(random: &mut Random, key: &'static str) -> Vec<String> {
    let count = random.weighted(&[(65, 1), (25, 2), (10, 3)]);
    let mut patterns: Vec<String> = Vec::new();
    for _ in 0..count {
        let pattern = pattern(random, key);
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

fn pattern(random: &mut Random, key: &str) -> String {
    let word = random.pick(of_key(key));
    let characters: Vec<char> = word.chars().collect();
    let part = |from: usize, to: usize| characters[from..to].iter().collect::<String>();
    let at = random.below(characters.len());
    let end = characters.len();
    // The words of these two are checked, so a pattern has to be about one of them.
    if matches!(key, "kind" | "action_type") {
        return if random.percent(75) { word.to_owned() } else { format!("{}*", part(0, at)) };
    }
    match random.below(20) {
        0..=10 => word.to_owned(),
        11 => "*".to_owned(),
        12 => format!("{}*", part(0, at)),
        13 => format!("*{}", part(at, end)),
        14 => format!("{}*{}", part(0, at), part(at, end)),
        15 => format!("{}?{}", part(0, at), part(at + 1, end)),
        // One character too many.
        16 if random.percent(50) => format!("{word}?"),
        16 => format!("{}?{}", part(0, at), part(at, end)),
        17 => format!("*{}*", part(at, end)),
        18 => word.to_uppercase(),
        _ => format!("{}.", word.trim_end_matches('.')),
    }
}
