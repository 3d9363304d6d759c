//! Arguments that try to be more than arguments.

use super::*;

#[test]
fn entities_and_extensions_cannot_be_forged_from_arguments() {
    let call = Call::with(
        r#"{"who":{"__entity":{"type":"Agent","id":"research/admin"}},"ip":{"__extn":{"fn":"ip","arg":"10.0.0.1"}},
            "expr":{"__expr":"Agent::\"research/admin\""},"__entity":{"type":"Agent","id":"x"},"text":"Agent::\"research/admin\""}"#,
    );
    for condition in [
        "context.input.who == Agent::\"research/admin\"",
        "context.input.who is Agent",
        "context.input.text == Agent::\"research/admin\"",
        "context.input.expr == Agent::\"research/admin\"",
        "context.input.ip == ip(\"10.0.0.1\")",
        "principal == Agent::\"x\"",
    ] {
        let answer = holds(condition, &call);
        assert!(matches!(answer, Ok(false) | Err(_)), "{condition}: {answer:?}");
    }
    for condition in [
        "context.input.who.__entity.type == \"Agent\"",
        "context.input has __entity",
        "context.input.ip.__extn.arg == \"10.0.0.1\"",
    ] {
        // Cedar reserves `__cedar`, not these: they are members like any other.
        assert_eq!(holds(condition, &call), Ok(true), "{condition}");
    }
}

#[test]
fn the_stand_in_of_a_number_gives_nothing_away() {
    let call = Call::with(r#"{"n":1e999,"s":"1e999"}"#);
    for condition in [
        "context.input.n in Workspace::\"research\"",
        "context.input.n == context.input.s",
        "context.input.n is Agent",
    ] {
        assert_eq!(holds(condition, &call), Ok(false), "{condition}");
    }
    assert!(holds("context.input.n.x == 1", &call).is_err());
}

#[test]
fn deep_arguments_do_not_exhaust_the_stack() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(150), "}".repeat(150));
    let lists = format!(r#"{{"a":{}{}}}"#, "[".repeat(150), "]".repeat(150));
    for arguments in [deep, lists] {
        let on_a_small_stack = std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || holds("context.input has a", &Call::with(&arguments)));
        let answer = on_a_small_stack.unwrap().join().unwrap();
        assert!(matches!(answer, Ok(true) | Err(_)), "{answer:?}");
    }
}

#[test]
fn names_and_texts_of_any_kind_stay_what_they_are() {
    let call = Call::with("{\"\\\" || true || \\\"\":1,\"a\\u0000b\":\"\\u202e\",\"x\":\"`*\\\\\"}");
    assert_eq!(holds("context.input[\"\\\" || true || \\\"\"] == 1", &call), Ok(true));
    assert_eq!(holds("context.input[\"a\\0b\"] == \"\\u{202e}\"", &call), Ok(true));
    let request = Request { agent: "a\" || true || \"", user: Some("\n\u{7}"), ..call.request() };
    let (condition, _) = Condition::compile("context.user == \"\\n\\u{7}\"", None, &[]).unwrap();
    assert_eq!(condition.holds(&Facts::new(&request)), Ok(true));
}

#[test]
fn a_condition_is_one_expression_and_nothing_more() {
    for text in [
        "",
        "true } unless { false",
        "true }; permit (principal, action, resource) when { true",
        "?principal == Agent::\"x\"",
        "permit (principal, action, resource)",
        "true;",
        "context.",
        "unknown(\"x\")",
    ] {
        assert!(Condition::compile(text, None, &[]).is_err(), "{text:?} was taken");
    }
    assert!(Condition::compile(&format!("context.agent == \"{}\"", "x".repeat(10_000)), None, &[]).is_err());
    let (condition, _) = Condition::compile("context.agent == \"assistant\" // that one", None, &[]).unwrap();
    assert_eq!(condition.holds(&Facts::new(&Call::with("{}").request())), Ok(true));
    assert!(!condition.reads_input());
}

#[test]
fn a_mistake_in_a_condition_has_its_place() {
    let findings = Condition::compile("\"größe\" ==\n  context.agent &&& true", None, &[]).unwrap_err();
    let found: Vec<_> = findings.iter().map(|finding| (finding.is_error, finding.offset)).collect();
    assert!(found.iter().any(|(is_error, offset)| *is_error && (20..32).contains(offset)), "{findings:?}");
}
