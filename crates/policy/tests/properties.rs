//! What holds for every policy and every call.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::{Call, policy};
use proptest::prelude::*;
use ringfence_policy::Verdict;
use ringfence_types::Decision;

const SCHEMA: &str = r#"{"type":"object","properties":{
    "n":{"default":3},"m":{},"max_m":{},"tag":{"default":"a"},"tags":{},"spec":{"properties":{"n":{"default":7}}}}}"#;

fn constraint() -> impl Strategy<Value = (String, String)> {
    let bound = (
        prop_oneof![Just("max_"), Just("min_")],
        prop_oneof![Just("n"), Just("m"), Just("spec.n"), Just("x")],
    )
        .prop_flat_map(|(prefix, name)| {
            (Just(format!("{prefix}{name}")), (-2i32..12).prop_map(|n| n.to_string()))
        });
    let values =
        prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c"), Just("3"), Just("\"3\"")], 1..4);
    let list =
        (prop_oneof![Just("allowed_"), Just("denied_")], prop_oneof![Just("tag"), Just("tags"), Just("n")])
            .prop_flat_map(move |(prefix, name)| {
                (
                    Just(format!("{prefix}{name}")),
                    values.clone().prop_map(|values| format!("[{}]", values.join(", "))),
                )
            });
    prop_oneof![3 => bound, 2 => list, 1 => (1u8..9).prop_map(|n| ("timeout".to_owned(), format!("{n}s")))]
}

/// A rule without its name: match, decision, constraints, and whether it is in shadow.
fn rule() -> impl Strategy<Value = String> {
    let on = prop_oneof![3 => Just("{}"), 1 => Just("{agent: assistant}"), 1 => Just("{agent: other}")];
    let chosen = prop::collection::vec(constraint(), 0..3);
    (on, 0usize..6, chosen, prop::bool::weighted(0.1)).prop_map(|(on, kind, chosen, shadow)| {
        let chosen: std::collections::BTreeMap<_, _> = chosen.into_iter().collect();
        let constraints: Vec<String> = chosen.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let mode = if shadow { ", mode: shadow" } else { "" };
        match (kind, constraints.is_empty()) {
            (0, _) => format!("match: {on}, decision: DENY{mode}"),
            (1, _) | (2..=4, true) => format!("match: {on}, decision: ALLOW{mode}"),
            (2..=4, false) => format!(
                "match: {on}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{{}}}{mode}",
                constraints.join(", ")
            ),
            _ => format!(
                "match: {on}, decision: REQUIRE_APPROVAL, constraints: {{{}}}{mode}",
                constraints.join(", ")
            ),
        }
    })
}

fn arguments() -> impl Strategy<Value = String> {
    let number = || {
        prop_oneof![(-5i32..20).prop_map(|n| n.to_string()), Just("2.5".to_owned()), Just("1e1".to_owned())]
    };
    let word =
        || prop_oneof![Just("\"a\""), Just("\"b\""), Just("\"z\""), Just("null")].prop_map(ToOwned::to_owned);
    let many = |one: BoxedStrategy<String>| prop_oneof![2 => one.clone(), 1 => prop::collection::vec(one, 0..4).prop_map(|all| format!("[{}]", all.join(",")))];
    let member = prop_oneof![
        4 => many(number().boxed()).prop_map(|value| ("n", value)),
        2 => many(number().boxed()).prop_map(|value| ("m", value)),
        1 => number().prop_map(|value| ("max_m", value)),
        1 => word().prop_map(|value| ("n", value)),
        2 => many(word().boxed()).prop_map(|value| ("tag", value)),
        2 => many(word().boxed()).prop_map(|value| ("tags", value)),
        2 => many(number().boxed()).prop_map(|value| ("spec", format!("{{\"n\":{value}}}"))),
    ];
    prop::collection::vec(member, 0..5).prop_map(|members| {
        let members: std::collections::BTreeMap<_, _> = members.into_iter().collect();
        let texts: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", texts.join(","))
    })
}

fn written(rules: &[String]) -> String {
    let rules: Vec<String> =
        rules.iter().enumerate().map(|(n, rule)| format!("{{name: r{n}, {rule}}}")).collect();
    format!("rules: [{}]", rules.join(", "))
}

fn decide(rules: &[String], call: &Call) -> Verdict {
    call.decide(&policy(&written(rules)))
}

fn sent(verdict: &Verdict, call: &Call) -> Vec<u8> {
    verdict.arguments.as_ref().unwrap_or(&call.arguments).to_canonical()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// What is sent needs no further narrowing, and is allowed to the same extent.
    #[test]
    fn narrowing_twice_is_narrowing_once(rules in prop::collection::vec(rule(), 0..5), arguments in arguments()) {
        let call = Call::with(&arguments).and_schema(SCHEMA);
        let first = decide(&rules, &call);
        if first.misfit.is_some() {
            return Ok(());
        }
        let again = Call { arguments: first.arguments.clone().unwrap_or(call.arguments.clone()), ..call };
        let second = decide(&rules, &again);
        prop_assert_eq!((second.decision, second.arguments, second.misfit), (first.decision, None, None));
    }

    /// Order means nothing: the same rules the other way round decide, narrow and oblige the same.
    #[test]
    fn the_order_of_rules_means_nothing(rules in prop::collection::vec(rule(), 0..6), arguments in arguments()) {
        let call = Call::with(&arguments).and_schema(SCHEMA);
        let forth = decide(&rules, &call);
        let reversed: Vec<String> = rules.iter().rev().cloned().collect();
        let back = decide(&reversed, &call);
        prop_assert_eq!(forth.decision, back.decision);
        prop_assert_eq!(forth.misfit.is_some(), back.misfit.is_some());
        prop_assert_eq!(sent(&forth, &call), sent(&back, &call));
        prop_assert_eq!(forth.obligations.timeout, back.obligations.timeout);
        let pointers = |verdict: &Verdict| verdict.narrowed.iter().map(|one| one.pointer.clone()).collect::<BTreeSet<_>>();
        prop_assert_eq!(pointers(&forth), pointers(&back));
    }

    /// One rule more never makes a decision laxer where some rule decided, and never heals a misfit.
    #[test]
    fn a_further_rule_only_restricts(
        rules in prop::collection::vec(rule(), 1..5),
        more in rule(),
        arguments in arguments(),
    ) {
        let call = Call::with(&arguments).and_schema(SCHEMA);
        let without = decide(&rules, &call);
        let with = decide(&[rules, vec![more]].concat(), &call);
        if !without.matched.is_empty() {
            prop_assert!(with.decision >= without.decision);
        }
        prop_assert!(with.misfit.is_some() || without.misfit.is_none());
        // What is refused need not be narrowed: a minimum above the maximum has nothing to narrow to.
        prop_assert!(with.misfit.is_some() || with.narrowed.len() >= without.narrowed.len());
        prop_assert!(with.misfit.is_none() || with.decision == Decision::Deny);
    }

    /// What is hidden is denied whatever is sent.
    #[test]
    fn a_hidden_tool_is_always_denied(rules in prop::collection::vec(rule(), 0..4), arguments in arguments()) {
        let call = Call::with(&arguments).and_schema(SCHEMA);
        let policy = policy(&written(&rules));
        if !call.ask(|request| policy.may_ever_allow(request)) {
            prop_assert_eq!(call.decide(&policy).decision, Decision::Deny);
        }
    }
}
