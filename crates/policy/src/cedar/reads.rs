//! Whether an expression can depend on the arguments of a call.

use cedar_policy::Policy;
use serde_json::Value;

/// Whether a policy reads `context.input`, or does anything with `context` of which that is not clear. Says no only
/// when it is certain.
pub(super) fn reads_input(policy: &Policy) -> bool {
    policy.to_json().map_or(true, |json| json.get("conditions").is_none_or(reads))
}

/// In Cedar's JSON policy format, `context.x` is `{".": {"left": {"Var": "context"}, "attr": "x"}}`, and `has` alike.
fn reads(expression: &Value) -> bool {
    match expression {
        Value::Array(elements) => elements.iter().any(reads),
        Value::Object(members) => {
            let access = [".", "has"].iter().find_map(|operator| members.get(*operator));
            match access.and_then(|access| Some((access.get("left")?, access.get("attr")?))) {
                Some((left, attribute)) if is_context(left) && members.len() == 1 => {
                    attribute.as_str() == Some("input") || !attribute.is_string()
                }
                _ => is_context(expression) || members.values().any(reads),
            }
        }
        _ => false,
    }
}

fn is_context(expression: &Value) -> bool {
    expression.get("Var").and_then(Value::as_str) == Some("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_certainly_does_not_look_at_arguments_is_said_not_to() {
        let cases = [
            ("context.agent == \"a\"", false),
            ("context has user && context.user == \"u\"", false),
            ("principal == Agent::\"input\"", false),
            ("context.labels.contains(\"input\")", false),
            ("context.input.x == 1", true),
            ("context has input", true),
            ("context has input.x", true),
            ("context[\"input\"].x == 1", true),
            ("context == {}", true),
            ("(if context.agent == \"a\" then context else {input: {x: 1}}).input.x == 1", true),
            ("[context].contains({})", true),
            ("{a: context}.a.input has x", true),
            ("{\"Var\": 1} == {\"Var\": 1}", false),
        ];
        for (text, expected) in cases {
            let policy: Policy =
                format!("permit(principal, action, resource) when {{ {text} }};").parse().unwrap();
            assert_eq!(reads_input(&policy), expected, "{text}");
            let policy: Policy =
                format!("permit(principal, action, resource) unless {{ {text} }};").parse().unwrap();
            assert_eq!(reads_input(&policy), expected, "unless {text}");
        }
    }
}
