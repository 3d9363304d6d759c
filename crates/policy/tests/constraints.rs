//! What constraints do to a call: narrowed, refused, or let through.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Call, compiled, object, policy};
use ringfence_types::{Code, Decision};

/// A policy of one rule with these constraints, in flow style.
fn limiting(constraints: &str) -> String {
    format!(
        "rules: [{{name: limits, match: {{}}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{{constraints}}}}}]"
    )
}

/// What becomes of a call: the arguments that are sent, or the code of the refusal.
fn fate(constraints: &str, arguments: &str, schema: Option<&str>) -> Result<String, Code> {
    let mut call = Call::with(arguments);
    call.schema = schema.map(ToOwned::to_owned);
    let verdict = call.decide(&policy(&limiting(constraints)));
    match verdict.misfit {
        Some(misfit) => {
            assert_eq!(verdict.decision, Decision::Deny);
            assert_eq!(misfit.rule.as_str(), "limits");
            Err(misfit.code)
        }
        None => Ok(verdict.arguments.unwrap_or(call.arguments)).map(|sent| sent.to_canonical()).map(text),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

const DENIED: Result<&str, Code> = Err(Code::DeniedByPolicy);
const INVALID: Result<&str, Code> = Err(Code::InvalidInput);

/// Constraints, arguments, pinned schema, and what becomes of the call.
type Case<'t> = (&'t str, &'t str, Option<&'t str>, Result<&'t str, Code>);

fn check(cases: &[Case<'_>]) {
    for (constraints, arguments, schema, expected) in cases {
        let found = fate(constraints, arguments, *schema);
        assert_eq!(found, expected.map(ToOwned::to_owned), "{constraints} on {arguments} with {schema:?}");
    }
}

#[test]
fn numbers_are_narrowed_exactly() {
    check(&[
        ("max_n: 10", r#"{"n":50}"#, None, Ok(r#"{"n":10}"#)),
        ("max_n: 10", r#"{"n":10}"#, None, Ok(r#"{"n":10}"#)),
        ("max_n: 10", r#"{"n":10.0}"#, None, Ok(r#"{"n":10.0}"#)),
        ("max_n: 10", r#"{"n":1e1}"#, None, Ok(r#"{"n":1e1}"#)),
        ("max_n: 10", r#"{"n":10.0000000000000000001}"#, None, Ok(r#"{"n":10}"#)),
        ("max_n: 9007199254740992", r#"{"n":9007199254740993}"#, None, Ok(r#"{"n":9007199254740992}"#)),
        ("max_n: 2.50", r#"{"n":1e400}"#, None, Ok(r#"{"n":2.50}"#)),
        ("min_n: -3", r#"{"n":-3.1}"#, None, Ok(r#"{"n":-3}"#)),
        ("min_n: 1, max_n: 10", r#"{"n":0}"#, None, Ok(r#"{"n":1}"#)),
        ("min_n: 1, max_n: 10", r#"{"n":11}"#, None, Ok(r#"{"n":10}"#)),
        ("min_n: 5, max_n: 5", r#"{"n":7}"#, None, Ok(r#"{"n":5}"#)),
    ]);
}

#[test]
fn what_is_not_a_number_is_invalid() {
    for value in ["\"50\"", "true", "null", "{}", "{\"n\":1}"] {
        let arguments = format!("{{\"n\":{value}}}");
        assert_eq!(fate("max_n: 10", &arguments, None), INVALID.map(String::from), "{value}");
        assert_eq!(fate("min_n: 10", &arguments, None), INVALID.map(String::from), "{value}");
    }
}

#[test]
fn a_minimum_above_the_maximum_refuses() {
    check(&[
        ("min_n: 5, max_n: 3", r#"{"n":4}"#, None, DENIED),
        ("min_n: 5, max_n: 3", r#"{"n":[]}"#, None, DENIED),
    ]);
    assert_eq!(compiled(&limiting("min_n: 5, max_n: 3")).warnings.len(), 1);
    let two = "
rules:
  - {name: least, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {min_n: 5}}
  - {name: most, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 3}}";
    let misfit = Call::with(r#"{"n":4}"#).decide(&policy(two)).misfit.unwrap();
    assert_eq!(misfit.rule.as_str(), "most");
    assert_eq!(
        misfit.reason,
        "No value of `n` is allowed: rule `least` wants at least 5, rule `most` at most 3."
    );
}

#[test]
fn the_exact_name_comes_before_the_prefix() {
    let both = Some(r#"{"type":"object","properties":{"max_n":{},"n":{}}}"#);
    let only_exact = Some(r#"{"type":"object","properties":{"max_n":{}}}"#);
    let only_plain = Some(r#"{"type":"object","properties":{"n":{}}}"#);
    check(&[
        ("max_n: 10", r#"{"max_n":50,"n":50}"#, both, Ok(r#"{"max_n":10,"n":50}"#)),
        ("max_n: 10", r#"{"max_n":50}"#, only_exact, Ok(r#"{"max_n":10}"#)),
        ("max_n: 10", r#"{"n":50}"#, only_plain, Ok(r#"{"n":10}"#)),
        ("max_n: 10", r#"{"max_n":50}"#, None, Ok(r#"{"max_n":10}"#)),
        ("allowed_hosts: [a]", r#"{"allowed_hosts":["a","b"]}"#, None, DENIED),
        ("allowed_hosts: [a]", r#"{"allowed_hosts":["a"]}"#, None, Ok(r#"{"allowed_hosts":["a"]}"#)),
    ]);
}

#[test]
fn a_constraint_cannot_be_diverted_to_an_argument_that_nobody_declared() {
    let plain = Some(r#"{"type":"object","properties":{"n":{}}}"#);
    check(&[
        ("max_n: 10", r#"{"max_n":1,"n":50}"#, plain, Ok(r#"{"max_n":1,"n":10}"#)),
        ("max_n: 10", r#"{"max_n":1,"n":50}"#, None, Ok(r#"{"max_n":1,"n":10}"#)),
        ("max_n: 10", r#"{"max_n":1}"#, plain, DENIED),
        ("max_a.n: 10", r#"{"a.n":1,"a":{"n":50}}"#, None, Ok(r#"{"a":{"n":10},"a.n":1}"#)),
        ("max_a.n: 10", r#"{"a.n":1,"a":{}}"#, None, DENIED),
        ("max_a.n: 10", r#"{"a.n":1}"#, Some(r#"{"type":"object","properties":{"a":{}}}"#), DENIED),
        (
            "allowed_labels.team.name: [red]",
            r#"{"labels":{"team":{"name":"red"},"team.name":"blue"}}"#,
            Some(r#"{"type":"object","properties":{"labels":{"properties":{"team.name":{}}}}}"#),
            DENIED,
        ),
    ]);
}

#[test]
fn a_name_with_dots_is_found_wherever_it_stands() {
    check(&[
        ("max_a.n: 10", r#"{"a.n":50}"#, None, Ok(r#"{"a.n":10}"#)),
        ("max_a.b.n: 10", r#"{"a":{"b.n":50}}"#, None, Ok(r#"{"a":{"b.n":10}}"#)),
        ("max_a.b.n: 10", r#"{"a.b":{"n":50}}"#, None, Ok(r#"{"a.b":{"n":10}}"#)),
        ("max_a.b.n: 10", r#"{"a":{"b.n":5,"b":{"n":50}}}"#, None, Ok(r#"{"a":{"b":{"n":10},"b.n":5}}"#)),
        ("max_a.b.n: 10", r#"{"a":{"b.m":5}}"#, None, DENIED),
        ("max_a.b.c.d.e.n: 10", r#"{"a":{"b.c":{"d.e.n":50}}}"#, None, Ok(r#"{"a":{"b.c":{"d.e.n":10}}}"#)),
        ("max_a.b.c.d.e.f.n: 10", r#"{"a.b.c.d.e.f.n":50}"#, None, Ok(r#"{"a.b.c.d.e.f.n":10}"#)),
    ]);
}

#[test]
fn a_refusal_names_the_rule_that_refuses() {
    let two = |first: &str, second: &str| {
        policy(&format!(
            "rules:
  - {{name: fine, match: {{}}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{{first}}}}}
  - {{name: refuses, match: {{}}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{{second}}}}}"
        ))
    };
    let schema = r#"{"type":"object","properties":{"n":{"default":20}}}"#;
    let cases = [
        ("allowed_n: [20]", "denied_n: [20]", "{}"),
        ("min_n: 1", "max_n: 10", "{}"),
        ("allowed_n: [20]", "max_n: 10", "{}"),
        ("allowed_n: [a]", "max_n: 10", r#"{"n":"a"}"#),
    ];
    for (first, second, arguments) in cases {
        let call = Call::with(arguments).and_schema(schema);
        let misfit = call.decide(&two(first, second)).misfit.unwrap();
        assert_eq!(misfit.rule.as_str(), "refuses", "{first}, {second} on {arguments}");
    }
}

#[test]
fn lists_name_their_argument_in_the_singular_or_the_plural() {
    check(&[
        ("allowed_namespaces: [app, staging]", r#"{"namespace":"app"}"#, None, Ok(r#"{"namespace":"app"}"#)),
        ("allowed_namespaces: [app]", r#"{"namespaces":["app"]}"#, None, Ok(r#"{"namespaces":["app"]}"#)),
        ("allowed_namespaces: [app]", r#"{"namespaces":["app","x"]}"#, None, DENIED),
        ("allowed_namespace: app", r#"{"namespace":"App"}"#, None, DENIED),
        ("allowed_namespace: app", r#"{"namespaces":"app"}"#, None, DENIED),
        ("allowed_namespaces: [app]", r#"{"namespace":"app","namespaces":["x"]}"#, None, DENIED),
        ("denied_namespaces: [kube-system]", r#"{"namespace":"kube-system"}"#, None, DENIED),
        ("denied_namespace: kube-system", r#"{"namespace":"app"}"#, None, Ok(r#"{"namespace":"app"}"#)),
        ("max_ns: 1", r#"{"n":5}"#, None, DENIED),
        ("allowed_to.tags: [a]", r#"{"to":[{"tag":"a"}]}"#, None, Ok(r#"{"to":[{"tag":"a"}]}"#)),
        ("allowed_to.tags: [a]", r#"{"to":{"tags":["a"]}}"#, None, Ok(r#"{"to":{"tags":["a"]}}"#)),
        ("allowed_to.tags: [a]", r#"{"to":[{"tag":"a"},{"tags":["b"]}]}"#, None, DENIED),
        ("allowed_to.tags: [a]", r#"{"to":{}}"#, None, DENIED),
    ]);
}

#[test]
fn values_of_lists_have_a_type_and_denied_ones_are_wide() {
    check(&[
        ("allowed_port: [80, 443]", r#"{"port":443.0}"#, None, Ok(r#"{"port":443.0}"#)),
        ("allowed_port: [80, 443]", r#"{"port":"443"}"#, None, DENIED),
        ("allowed_port: ['443']", r#"{"port":443}"#, None, DENIED),
        ("denied_port: [22]", r#"{"port":"22"}"#, None, DENIED),
        ("denied_force: [true]", r#"{"force":"true"}"#, None, DENIED),
        ("allowed_force: [false]", r#"{"force":false}"#, None, Ok(r#"{"force":false}"#)),
        ("allowed_x: [~]", r#"{"x":null}"#, None, Ok(r#"{"x":null}"#)),
        ("denied_x: [a]", r#"{"x":{"a":1}}"#, None, DENIED),
        ("denied_x: [a]", r#"{"x":null}"#, None, DENIED),
        ("allowed_path: ['/srv/*']", r#"{"path":"/srv/a"}"#, None, DENIED),
    ]);
}

#[test]
fn dotted_paths_reach_every_element_of_every_array() {
    check(&[
        ("max_spec.replicas: 10", r#"{"spec":{"replicas":50}}"#, None, Ok(r#"{"spec":{"replicas":10}}"#)),
        (
            "max_items.n: 2",
            r#"{"items":[{"n":3},{"n":1},{"n":9}]}"#,
            None,
            Ok(r#"{"items":[{"n":2},{"n":1},{"n":2}]}"#),
        ),
        ("max_n: 2", r#"{"n":[1,[5,2],9]}"#, None, Ok(r#"{"n":[1,[2,2],2]}"#)),
        ("max_items.n: 2", r#"{"items":[]}"#, None, Ok(r#"{"items":[]}"#)),
        ("max_items.n: 2", r#"{"items":[{"n":1},{}]}"#, None, DENIED),
        ("max_spec.n: 2", r#"{"spec":5}"#, None, INVALID),
        ("max_spec.n: 2", r#"{"other":5}"#, None, DENIED),
        ("allowed_to.domains: [a.org]", r#"{"to":[{"domain":"a.org"},{"domain":"b.org"}]}"#, None, DENIED),
    ]);
    let verdict = Call::with(r#"{"a/b":[{"c~d":7}]}"#).decide(&policy(&limiting("'max_a/b.c~d': 2")));
    assert_eq!(verdict.narrowed[0].pointer, "/a~1b/0/c~0d");
    assert_eq!(verdict.arguments.unwrap(), object(r#"{"a/b":[{"c~d":2}]}"#));
}

#[test]
fn what_a_call_lacks_needs_a_default_within_the_limits() {
    let n = |default: &str| format!(r#"{{"type":"object","properties":{{"n":{{{default}}}}}}}"#);
    let nested = |outer: &str, inner: &str| {
        format!(
            r#"{{"type":"object","properties":{{"spec":{{"type":"object"{outer},"properties":{{"n":{{{inner}}}}}}}}}}}"#
        )
    };
    let cases = [
        ("max_n: 10", n("\"default\":10"), "{}", true),
        ("max_n: 10", n("\"default\":11"), "{}", false),
        ("max_n: 10", n("\"default\":\"1\""), "{}", false),
        ("max_n: 10", n(""), "{}", false),
        ("allowed_n: [a]", n("\"default\":\"a\""), "{}", true),
        ("allowed_n: [a]", n("\"default\":[\"a\",\"b\"]"), "{}", false),
        ("denied_n: [a]", n("\"default\":\"a\""), "{}", false),
        ("denied_n: [a]", n("\"default\":\"b\""), "{}", true),
        ("denied_n: [a]", n("\"default\":\"b\""), r#"{"n":null}"#, true),
        ("denied_n: [a]", n(""), "{}", false),
        ("denied_n: [a]", n("\"default\":null"), "{}", false),
        ("allowed_n: [~], denied_n: [a]", n("\"default\":\"b\""), r#"{"n":null}"#, true),
        ("allowed_n: [~], denied_n: [a]", n("\"default\":\"a\""), r#"{"n":null}"#, false),
        ("max_spec.n: 10", nested("", "\"default\":5"), "{}", true),
        ("max_spec.n: 10", nested("", "\"default\":5"), r#"{"spec":{}}"#, true),
        ("max_spec.n: 10", nested(",\"default\":{\"n\":50}", "\"default\":5"), "{}", false),
        ("max_spec.n: 10", nested(",\"default\":{\"n\":7}", ""), "{}", true),
        ("max_spec.n: 10", nested(",\"default\":{}", ""), "{}", false),
        ("max_spec.n: 10", nested(",\"default\":[{},{\"n\":50}]", "\"default\":5"), "{}", false),
        ("max_spec.n: 10", nested(",\"default\":[{},{\"n\":7}]", "\"default\":5"), "{}", true),
        ("max_spec.n.m: 10", nested(",\"default\":{\"n\":{}}", "\"default\":{\"m\":5}"), "{}", false),
    ];
    for (constraints, schema, arguments, passes) in cases {
        let found = fate(constraints, arguments, Some(&schema));
        let expected = if passes { Ok(arguments.to_owned()) } else { Err(Code::DeniedByPolicy) };
        assert_eq!(found, expected, "{constraints} with {schema}");
    }
}

#[test]
fn a_constraint_that_fits_no_argument_refuses() {
    let misfit = Call::with(r#"{"n":1}"#).decide(&policy(&limiting("max_replicas: 1"))).misfit.unwrap();
    assert_eq!(misfit.code, Code::DeniedByPolicy);
    assert_eq!(
        misfit.reason,
        "Rule `limits` has a constraint `max_replicas` that fits no argument of this call."
    );
}

#[test]
fn lists_hold_for_what_was_asked_and_for_what_is_sent() {
    check(&[
        ("max_n: 10, denied_n: [50]", r#"{"n":50}"#, None, DENIED),
        ("max_n: 10, denied_n: [10]", r#"{"n":50}"#, None, DENIED),
        ("max_n: 10, allowed_n: [10, 50]", r#"{"n":50}"#, None, Ok(r#"{"n":10}"#)),
        ("max_n: 10, allowed_n: [5, 50]", r#"{"n":50}"#, None, DENIED),
    ]);
}

#[test]
fn the_narrowest_of_all_rules_holds_and_is_named() {
    let text = "
rules:
  - {name: wide, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 20, timeout: 30s, redact: [/a]}}
  - {name: narrow, match: {}, decision: REQUIRE_APPROVAL, constraints: {max_n: 10, rate: 5/m, max_result_bytes: 64Ki}}
  - {name: same, match: {}, decision: ALLOW_WITH_CONSTRAINTS,
     constraints: {max_n: 10.0, timeout: 5s, rate: 9/h, redact: [/a, /b/0], max_result_bytes: 1Mi}}";
    let verdict = Call::with(r#"{"n":50}"#).decide(&policy(text));
    assert_eq!(verdict.decision, Decision::RequireApproval);
    assert_eq!(verdict.narrowed.len(), 1);
    assert_eq!(verdict.narrowed[0].rule.as_str(), "narrow");
    let obligations = verdict.obligations;
    assert_eq!(obligations.timeout.unwrap().as_secs(), 5);
    assert_eq!(obligations.max_result_bytes, Some(64 << 10));
    let rates: Vec<_> =
        obligations.rates.iter().map(|limit| format!("{} {}", limit.rule, limit.rate)).collect();
    assert_eq!(rates, ["narrow 5/m", "same 9/h"]);
    assert_eq!(obligations.redact, ["/a", "/b/0"]);
}

#[test]
fn constraints_apply_whichever_decision_wins() {
    let text = "
rules:
  - {name: limits, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 10}}
  - {name: never, match: {}, decision: DENY, reason: 'Ask the platform team.'}";
    let verdict = Call::with(r#"{"n":50}"#).decide(&policy(text));
    assert_eq!((verdict.decision, verdict.reason.as_str()), (Decision::Deny, "Ask the platform team."));
    assert_eq!(verdict.arguments.unwrap(), object(r#"{"n":10}"#));
    let refused = Call::with(r#"{"n":"x"}"#).decide(&policy(text));
    assert_eq!(refused.rule.unwrap().as_str(), "never", "a DENY that a person wrote gives the reason");
    assert_eq!(refused.misfit.unwrap().code, Code::InvalidInput);
}

#[test]
fn a_shadow_rule_is_recorded_and_changes_nothing() {
    let text = "
rules:
  - {name: open, match: {}, decision: ALLOW}
  - {name: trial, match: {}, decision: DENY, mode: shadow}
  - {name: limits, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 1, rate: 1/m}, mode: shadow}";
    let verdict = Call::with(r#"{"n":50}"#).decide(&policy(text));
    assert_eq!((verdict.decision, verdict.arguments), (Decision::Allow, None));
    assert_eq!((verdict.misfit, verdict.matched.len()), (None, 1));
    assert!(verdict.obligations.rates.is_empty());
    let shadowed: Vec<_> = verdict.shadowed.iter().map(|rule| (rule.rule.as_str(), rule.decision)).collect();
    assert_eq!(shadowed, [("trial", Decision::Deny), ("limits", Decision::AllowWithConstraints)]);
}
