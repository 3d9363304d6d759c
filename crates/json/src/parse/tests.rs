//! What is taken, what is refused, and that another library agrees.

use proptest::prelude::*;

use super::*;

fn kind_of(text: &str) -> ParseErrorKind {
    match parse(text.as_bytes(), &Limits::default()) {
        Ok(_) => panic!("{text:?} was taken"),
        Err(error) => error.kind,
    }
}

#[test]
fn what_is_not_strict_json_is_refused() {
    use ParseErrorKind as K;
    let cases = [
        ("", K::UnexpectedEnd),
        ("{", K::UnexpectedEnd),
        ("[1,]", K::UnexpectedCharacter),
        ("{\"a\":1,}", K::UnexpectedCharacter),
        ("{\"a\" 1}", K::UnexpectedCharacter),
        ("{a:1}", K::UnexpectedCharacter),
        ("'a'", K::UnexpectedCharacter),
        ("nul", K::UnexpectedCharacter),
        ("1 2", K::TrailingText),
        ("{}{}", K::TrailingText),
        ("01", K::MalformedNumber),
        ("1.", K::MalformedNumber),
        ("-", K::MalformedNumber),
        ("\"\\x\"", K::MalformedEscape),
        ("\"\\ud800\"", K::MalformedEscape),
        ("\"\\ud800\\u0041\"", K::MalformedEscape),
        ("\"\\udc00\"", K::MalformedEscape),
        ("\"\\u12g4\"", K::MalformedEscape),
        ("\"\n\"", K::ControlCharacter),
        ("\"abc", K::UnexpectedEnd),
        ("\"\\", K::UnexpectedEnd),
        ("\u{feff}{}", K::UnexpectedCharacter),
        (r#"{"a":1,"a":2}"#, K::DuplicateName),
        (r#"{"a":1,"\u0061":2}"#, K::DuplicateName),
    ];
    for (text, expected) in cases {
        assert_eq!(kind_of(text), expected, "{text:?}");
    }
    assert_eq!(parse(b"\"\xff\"", &Limits::default()).unwrap_err().kind, ParseErrorKind::InvalidUtf8);
}

#[test]
fn a_duplicate_among_many_members_is_found() {
    let members: Vec<String> = (0..100).map(|index| format!("\"m{index}\":0")).collect();
    let text = format!("{{{},\"m3\":1}}", members.join(","));
    assert_eq!(kind_of(&text), ParseErrorKind::DuplicateName);
    let unique = format!("{{{}}}", members.join(","));
    assert!(parse(unique.as_bytes(), &Limits::default()).is_ok());
}

#[test]
fn every_limit_holds_at_its_edge() {
    let limits = Limits { bytes: 40, depth: 3, values: 6, number_bytes: 5 };
    let check = |text: &str| parse(text.as_bytes(), &limits).map(drop).map_err(|error| error.kind);
    assert_eq!(check("[[[1]]]"), Ok(()));
    assert_eq!(check("[[[[]]]]"), Err(ParseErrorKind::TooDeep));
    assert_eq!(check("[1,2,3,4,5]"), Ok(()));
    assert_eq!(check("[1,2,3,4,5,6]"), Err(ParseErrorKind::TooManyValues));
    assert_eq!(check("12345"), Ok(()));
    assert_eq!(check("123456"), Err(ParseErrorKind::NumberTooLong));
    assert_eq!(check(&format!("\"{}\"", "a".repeat(38))), Ok(()));
    assert_eq!(check(&format!("\"{}\"", "a".repeat(39))), Err(ParseErrorKind::TooLong));
}

#[test]
fn debug_shows_no_contents() {
    let value = parse(br#"{"password":"hunter2","n":123}"#, &Limits::default()).unwrap();
    let shown = format!("{value:?} {:?}", value.get("n").unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("123") && !shown.contains("password"), "{shown}");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(".{0,6}", inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_another_library_writes_is_read_and_written_back(document in any_json()) {
        let text = serde_json::to_vec(&document).unwrap();
        let value = parse(&text, &Limits::default()).unwrap();
        let again: serde_json::Value = serde_json::from_slice(&value.to_bytes()).unwrap();
        prop_assert_eq!(&again, &document);
        let canonical: serde_json::Value = serde_json::from_slice(&value.to_canonical()).unwrap();
        prop_assert_eq!(&canonical, &document);
    }

    #[test]
    fn what_is_taken_here_is_taken_by_another_library(text in r#"[\[\]{}",:0-9a-c.eE+\- \\untrfalse]{0,24}"#) {
        if parse(text.as_bytes(), &Limits::default()).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{:?}", text);
        }
    }
}
