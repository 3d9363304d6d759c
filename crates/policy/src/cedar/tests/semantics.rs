//! How rules are found and what they see.

use super::*;
use crate::cedar::Outlook;

#[test]
fn every_rule_that_applies_is_known_permits_beside_forbids() {
    let text = r#"
        @id("a") permit (principal, action, resource);
        @id("b") @decision("require_approval") permit (principal == Agent::"research/assistant", action == Action::"search/query", resource == Server::"search");
        @id("c") forbid (principal in Workspace::"research", action in Action::"tool_call", resource is Server);
        @id("d") forbid (principal, action in [Action::"egress", Action::"search/query", Action::"tool_call"], resource in Server::"search");
        @id("e") permit (principal is Agent in Workspace::"research", action, resource) unless { context.agent == "other" };
        @id("no1") permit (principal == Agent::"other/assistant", action, resource);
        @id("no2") permit (principal, action == Action::"search/other", resource);
        @id("no3") permit (principal, action in Action::"model_call", resource);
        @id("no4") permit (principal, action, resource == Server::"files");
        @id("no5") permit (principal is Host, action, resource);
        @id("no6") permit (principal, action in [], resource);
        @id("no7") permit (principal, action, resource) when { context.tool == "other" };
        @id("no8") permit (principal, action, resource is Model);
    "#;
    let call = Call::with("{}");
    assert_eq!(said(text, &call.request()), ["a=ALLOW", "b=REQUIRE_APPROVAL", "c=DENY", "d=DENY", "e=ALLOW"]);
}

#[test]
fn a_rule_without_a_name_is_known_by_its_line() {
    let call = Call::with("{}");
    assert_eq!(said("\n\n  permit (principal, action, resource);", &call.request()), ["rules.cedar:3=ALLOW"]);
}

#[test]
fn the_match_keys_are_the_context() {
    let call = Call::with("{}");
    let cases = [
        "context.kind == \"tool_call\"",
        "context.organization == \"acme\"",
        "context.workspace == \"research\"",
        "context.environment == \"production\"",
        "context.agent == \"assistant\"",
        "context.user == \"dana\"",
        "context.role.contains(\"analyst\") && !context.role.contains(\"admin\")",
        "context.server == \"search\"",
        "context.tool == \"query\"",
        "!(context has model) && !(context has host)",
        "context.capability == \"web_search\"",
        "context.action == \"query\"",
        "context.action_type == \"read\"",
        "context.risk == \"low\"",
        "context.labels == [\"infra\"]",
        "context.input == {}",
        "principal == Agent::\"research/assistant\" && principal in Workspace::\"research\"",
        "action == Action::\"search/query\" && action in Action::\"tool_call\" && !(action in Action::\"egress\")",
        "resource == Server::\"search\"",
    ];
    for condition in cases {
        assert_eq!(holds(condition, &call), Ok(true), "{condition}");
        assert_eq!(holds(&format!("!({condition})"), &call), Ok(false), "{condition}");
    }
}

#[test]
fn every_kind_has_its_action_and_resource() {
    let call = Call::with("{}");
    let base = Request { server: None, tool: None, ..call.request() };
    let cases = [
        (
            Request { kind: Kind::ModelCall, model: Some("smart"), ..base },
            "action == Action::\"model_call\" && resource == Model::\"smart\"",
        ),
        (
            Request { kind: Kind::Egress, host: Some("X.org."), ..base },
            "action == Action::\"egress\" && resource == Host::\"x.org\" && context.host == \"x.org\"",
        ),
        (
            Request { kind: Kind::Credential, server: Some("search"), ..base },
            "action == Action::\"credential\" && resource == Server::\"search\"",
        ),
        (
            Request { kind: Kind::Credential, host: Some("x.org"), ..base },
            "action in Action::\"credential\" && resource == Host::\"x.org\"",
        ),
        (
            Request { kind: Kind::Spawn, ..base },
            "action == Action::\"spawn\" && resource == Workspace::\"research\"",
        ),
        (
            Request { server: Some("search"), ..base },
            "action == Action::\"tool_call\" && resource == Server::\"search\"",
        ),
    ];
    for (request, expected) in cases {
        let (condition, _) = Condition::compile(expected, None, &[]).unwrap();
        assert_eq!(condition.holds(&Facts::new(&request)), Ok(true), "{expected}");
    }
}

#[test]
fn arguments_keep_their_types_and_equal_ones_are_equal() {
    let call = Call::with(
        r#"{"text":"größe \"quoted\"","flag":true,"whole":5.0,"exp":1e3,"part":2.5,"none":null,"list":["b","a","a"],
            "deep":{"a":{"b":[{"c":1}]}},"empty":{},"odd name":"x","":1}"#,
    );
    let cases = [
        "context.input.text == \"größe \\\"quoted\\\"\"",
        "context.input.flag",
        "context.input.whole == 5",
        "context.input.exp == 1000",
        "context.input.part == decimal(\"2.5\") && context.input.part.lessThan(decimal(\"2.6\"))",
        "!(context.input has none)",
        "context.input.list.containsAll([\"a\",\"b\"]) && context.input.list == [\"a\",\"b\"]",
        "context.input.deep.a.b.contains({c: 1})",
        "context.input.empty == {}",
        "context.input[\"odd name\"] == \"x\" && context.input[\"\"] == 1",
    ];
    for condition in cases {
        assert_eq!(holds(condition, &call), Ok(true), "{condition}");
    }
}

#[test]
fn a_schema_settles_what_a_number_is() {
    let call = |arguments| Call::typed(arguments, DEPLOY);
    for (arguments, condition) in [
        (
            r#"{"cpu":5}"#,
            "context.input.cpu == decimal(\"5.0\") && context.input.cpu.greaterThan(decimal(\"4.9\"))",
        ),
        (r#"{"cpu":1e2}"#, "context.input.cpu == decimal(\"100.0\")"),
        (r#"{"replicas":5.0}"#, "context.input.replicas == 5"),
        (r#"{"limit":7.0}"#, "context.input.limit > 6"),
        (r#"{"spec":{"ports":[80.0,443]}}"#, "context.input.spec.ports.contains(80)"),
        (r#"{"ref":{"x":1.0}}"#, "context.input.ref.x == 1"),
    ] {
        assert_eq!(holds(condition, &call(arguments)), Ok(true), "{arguments} {condition}");
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_fails_and_is_never_skipped() {
    let text = r#"
        @id("ok") permit (principal, action, resource);
        @id("missing") forbid (principal, action, resource) when { context.input.amount > 10 };
        @id("wrong type") forbid (principal, action, resource) when { context.input.name > 10 };
        @id("permit too") permit (principal, action, resource) when { context.model == "x" };
        @id("guarded") forbid (principal, action, resource) when { context.input has amount && context.input.amount > 10 };
        @id("overflow") permit (principal, action, resource) when { context.input.big + 1 > 0 };
        @id("not a truth") permit (principal, action, resource) when { context.input.name };
        @id("elsewhere") forbid (principal, action == Action::"x/y", resource) when { context.input.amount > 10 };
    "#;
    let call = Call::with(r#"{"name":"hunter2","big":9223372036854775807}"#);
    let said = said(text, &call.request());
    insta::assert_snapshot!(said.join("\n"));
    assert!(!said.join("").contains("hunter2"));
}

#[test]
fn what_cedar_cannot_represent_refuses_if_a_rule_reads_it() {
    for literal in ["1e999", "0.00001", "9223372036854775808", "-1e30", "1e99999999999999999999999999"] {
        let call = Call::with(&format!(r#"{{"n":{literal},"other":1,"list":[{literal},1]}}"#));
        let fails = |condition: &str| {
            let answer = holds(condition, &call);
            assert!(
                answer.as_ref().is_err_and(|why| !why.contains(literal)),
                "{literal} {condition}: {answer:?}"
            );
        };
        fails("context.input.n > 10");
        fails("10 >= context.input.n");
        fails("context.input.n + 1 == 2");
        fails("context.input.n.greaterThan(decimal(\"1.0\"))");
        // Asking first does not make it disappear.
        fails("context.input has n && context.input.n > 10");
        fails("context.input.n like \"*\"");
        // A rule that does not look is not disturbed, and what is certain is answered.
        assert_eq!(holds("context.input.other == 1", &call), Ok(true));
        assert_eq!(holds("context.input.n == 10", &call), Ok(false));
        assert_eq!(holds("context.input.n != 10", &call), Ok(true));
        assert_eq!(
            holds("context.input.list.contains(1) && !context.input.list.contains(2)", &call),
            Ok(true)
        );
    }
    let twice = Call::with(r#"{"a":1e999,"b":10e998,"c":1e998}"#);
    assert_eq!(
        holds("context.input.a == context.input.b && context.input.a != context.input.c", &twice),
        Ok(true)
    );
}

#[test]
fn before_the_arguments_are_known_only_what_is_certain_is_said() {
    let (set, diagnostics) = compiled(
        r#"
        @id("certain") forbid (principal, action, resource) when { context.agent == "assistant" };
        @id("perhaps") forbid (principal, action, resource) when { context.input has x };
        @id("whole") permit (principal, action, resource) when { context == {} };
        @id("not") permit (principal, action, resource) when { context.agent == "other" };
        @id("broken") permit (principal, action, resource) when { context.model == "m" };
        "#,
    );
    assert!(diagnostics.is_empty());
    let call = Call::with(r#"{"x":1}"#);
    let request = call.request();
    let outlook: Vec<_> = set
        .outlook(&Facts::new(&request))
        .into_iter()
        .map(|outlook| match outlook {
            Outlook::Certain(Outcome::Applies(effect)) => format!("certain {}", effect.name),
            Outlook::Certain(Outcome::Failed { effect, .. }) => format!("fails {}", effect.name),
            Outlook::Perhaps(effect) => format!("perhaps {}", effect.name),
        })
        .collect();
    assert_eq!(outlook, ["certain certain", "perhaps perhaps", "perhaps whole", "fails broken"]);
}
