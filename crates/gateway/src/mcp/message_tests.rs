use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    crate::Limits::default().request_json()
}

fn kind_of(text: &str) -> String {
    match parse(text.as_bytes(), &limits()) {
        Ok(_) => panic!("{text} was taken"),
        Err(error) => format!("{:?}", error.kind),
    }
}

#[test]
fn messages_are_read_and_written_back_as_they_were() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","new":[1.50]}}"#,
        r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"ping","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":-7,"result":{"content":[],"later":null}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no","data":[1]}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    ] {
        let message = parse(text.as_bytes(), &limits()).unwrap();
        assert_eq!(String::from_utf8(message.to_bytes()).unwrap(), text);
    }
}

#[test]
fn members_that_json_rpc_does_not_know_go_nowhere() {
    for (text, written) in [
        (
            r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed","Method":"tools/call","Params":{"name":"x"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","ID":2}"#, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"Result":{"a":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"Code":2,"message":"m","data":[]},"extra":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":[]}}"#,
        ),
    ] {
        let message = parse(text.as_bytes(), &limits()).unwrap();
        assert_eq!(String::from_utf8(message.to_bytes()).unwrap(), written);
    }
}

#[test]
fn what_is_no_single_message_is_refused_and_says_why() {
    for (text, kind) in [
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "Batch"),
        ("[]", "Batch"),
        ("7", "NotAnObject"),
        (r#"{"id":1,"method":"ping"}"#, "Version"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "Version"),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "Version"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "Id"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "Id"),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, "Id"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "Id"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "Method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, "Params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, "Params"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "Shape"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, "Shape"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#, "Shape"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "Id"),
        (r#"{"jsonrpc":"2.0","id":1,"result":7}"#, "Result"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":""}}"#, "Error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#, "Error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, "Error"),
    ] {
        assert_eq!(kind_of(text), kind, "{text}");
    }
    assert!(kind_of(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#).contains("DuplicateName"));
}

#[test]
fn a_complaint_names_the_request_it_is_about() {
    let error = parse(br#"{"id":7,"method":"ping"}"#, &limits()).unwrap_err();
    assert_eq!(error.id, Some(7.into()));
}

#[test]
fn one_parameter_is_replaced_in_its_place() {
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":5},"_meta":{}}}"#;
    let Message::Request(request) = parse(text, &limits()).unwrap() else { panic!("a request") };
    let narrowed = Object::new().with("n", 1_u64);
    assert_eq!(
        String::from_utf8(request.to_bytes_with("arguments", &narrowed)).unwrap(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1},"_meta":{}}}"#
    );
    let without = Request { params: Some(Object::new().with("name", "x")), ..request };
    let written = |value: &Object| String::from_utf8(without.to_bytes_with("arguments", value)).unwrap();
    assert!(written(&narrowed).contains(r#""params":{"name":"x","arguments":{"n":1}}"#));
    assert!(written(&Object::new()).contains(r#""params":{"name":"x"}"#), "nothing is invented");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text, &limits());
    }

    #[test]
    fn what_looks_like_a_message_never_panics_and_reads_back_the_same(
        text in r#"\{"jsonrpc":"2.0"(,"(id|method|params|result|error|x)":(1|-2|"a"|\{\}|\{"code":1,"message":""\}|null|\[\])){0,4}\}"#
    ) {
        if let Ok(message) = parse(text.as_bytes(), &limits()) {
            prop_assert_eq!(parse(&message.to_bytes(), &limits()).unwrap(), message);
        }
    }
}
