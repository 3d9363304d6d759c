//! Schemas and values that want to cost more than they should, or to reach further.

use ringfence_json::Value;
use ringfence_policy::{InputSchema, SchemaError};

use super::{refusal, said, schema, value};

#[test]
fn references_stay_within_the_document() {
    for outside in [
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json#/x",
        "https://json-schema.org/draft/2020-12/schema",
        "//host/x",
        "",
    ] {
        let text = format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{outside}"}}}}}}"#);
        assert!(matches!(refusal(&text), SchemaError::Outside { .. }), "{outside:?}");
    }
    for nothing in ["#/$defs/b", "#name", "#/$defs/%zz"] {
        let text = format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{nothing}"}}}}}}"#);
        assert!(matches!(refusal(&text), SchemaError::Reference { .. }), "{nothing}");
    }
    assert!(matches!(refusal(r#"{"type":"object","$ref":7}"#), SchemaError::Reference { .. }));
    assert!(matches!(
        refusal(r#"{"type":"object","properties":{"a":{"$id":"https://example.com/x"}}}"#),
        SchemaError::Nested
    ));
    let good = schema(
        r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/an%20int"},"b":{"$ref":"#here"},"$ref":{"type":"string"}},
            "$defs":{"an int":{"type":"integer"},"b":{"$anchor":"here","type":"string"}}}"##,
    );
    assert_eq!(said(&good, r#"{"a":1,"b":"x","$ref":"file:///etc/passwd"}"#), "ok");
    assert!(said(&good, r#"{"a":"x"}"#).contains("whole number"));
    assert!(said(&good, r#"{"b":1}"#).contains("string"));
}

#[test]
fn circles_of_references_are_refused() {
    for text in [
        r##"{"type":"object","$ref":"#"}"##,
        r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/a"}]}}}"##,
    ] {
        assert_eq!(refusal(text), SchemaError::Endless);
    }
}

/// `levels` definitions, each of which applies the next one twice to the same value.
fn doubling(levels: usize, keyword: &str) -> String {
    let definitions: Vec<_> = (0..levels)
        .map(|level| {
            let next = level + 1;
            format!(
                r##""d{level}":{{"{keyword}":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}}"##
            )
        })
        .collect();
    format!(
        r##"{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d0"}}}},"$defs":{{{},"d{levels}":{{"type":"string"}}}}}}"##,
        definitions.join(",")
    )
}

#[test]
fn schemas_that_multiply_are_refused() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        assert!(InputSchema::parse(&value(&doubling(8, keyword))).is_ok());
        assert!(matches!(
            refusal(&doubling(11, keyword)),
            SchemaError::TooLarge { what: "schemas for one value", .. }
        ));
        assert!(matches!(refusal(&doubling(2000, keyword)), SchemaError::TooLarge { .. }));
    }
}

#[test]
fn a_value_that_makes_a_schema_multiply_is_given_up() {
    // Every level of the array doubles the schemas that apply below it.
    let schema = schema(
        r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/d"}},
            "$defs":{"d":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/e"}},{"type":"array","items":{"$ref":"#/$defs/f"}},{"const":1}]},
                     "e":{"allOf":[{"$ref":"#/$defs/d"},{"type":"array","items":{"$ref":"#/$defs/f"}}]},
                     "f":{"allOf":[{"$ref":"#/$defs/e"},{"type":"array","items":{"$ref":"#/$defs/d"}}]}}}"##,
    );
    let nested = format!(r#"{{"a":{}0{}}}"#, "[".repeat(60), "]".repeat(60));
    let said = said(&schema, &nested);
    assert!(said.contains("too large or too deeply nested") || said.contains("none of the forms"), "{said}");
}

#[test]
fn bounds_on_size_and_depth_hold() {
    let properties: Vec<_> = (0..5000).map(|index| format!(r#""p{index}":{{"type":"string"}}"#)).collect();
    let many = format!(r#"{{"type":"object","properties":{{{}}}}}"#, properties.join(","));
    assert!(matches!(refusal(&many), SchemaError::TooLarge { what: "schemas", .. }));
    let values = format!(r#"{{"type":"object","enum":[{}]}}"#, vec!["1"; 30_000].join(","));
    assert!(matches!(refusal(&values), SchemaError::TooLarge { what: "values", .. }));
    let deep = format!(r#"{}{{"type":"string"}}{}"#, r#"{"items":"#.repeat(70), "}".repeat(70));
    assert!(matches!(refusal(&deep), SchemaError::TooLarge { what: "levels", .. }));
    let huge = r#"{"type":"object","properties":{"a":{"maximum":1e999}}}"#;
    assert_eq!(refusal(huge), SchemaError::Number);
}

#[test]
fn a_long_chain_of_references_does_not_exhaust_the_stack() {
    // 1,900 definitions, each reached only through a member of the one before: as deep as the bounds allow.
    let levels = 1900;
    let definitions: Vec<_> = (0..levels)
        .map(|level| format!(r##""d{level}":{{"properties":{{"n":{{"$ref":"#/$defs/d{}"}}}}}}"##, level + 1))
        .collect();
    let text = format!(
        r##"{{"type":"object","properties":{{"n":{{"$ref":"#/$defs/d0"}}}},"$defs":{{{},"d{levels}":{{"type":"string"}}}}}}"##,
        definitions.join(",")
    );
    let on_a_small_stack = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || {
        let schema = schema(&text);
        let said = said(&schema, r#"{"n":{"n":{"n":7}}}"#);
        drop(schema);
        said
    });
    assert_eq!(on_a_small_stack.unwrap().join().unwrap(), "ok");
}

#[test]
fn patterns_are_bounded_and_look_around_is_understood() {
    let with = |pattern: &str| {
        let pattern = Value::from(pattern).to_canonical();
        let pattern = String::from_utf8(pattern).unwrap();
        InputSchema::parse(&value(&format!(
            r#"{{"type":"object","properties":{{"a":{{"pattern":{pattern}}}}}}}"#
        )))
    };
    assert!(matches!(with(&"a".repeat(3000)), Err(SchemaError::TooLarge { .. })));
    assert!(
        matches!(with("(a{1,1000}){1,1000}"), Err(SchemaError::Invalid { .. })),
        "too large once compiled"
    );
    let broken = with("(").unwrap_err().to_string();
    assert!(broken.contains("/properties/a/pattern`: not a regular expression, or too large"), "{broken}");

    // What zod emits for an address.
    let mail = with(
        r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
    )
    .unwrap();
    assert_eq!(said(&mail, r#"{"a":"dana@example.com"}"#), "ok");
    assert!(said(&mail, r#"{"a":".dana@example.com"}"#).contains("match the pattern"));
    let long = format!(r#"{{"a":"{}"}}"#, "a".repeat(10_000));
    assert!(said(&mail, &long).contains("too long to be matched"));

    // Takes exponential time in an engine that backtracks without a bound.
    let evil = with(r"^(?=(a+)+$)(a|aa)+\1$").unwrap();
    let text = format!(r#"{{"a":"{}!"}}"#, "a".repeat(4000));
    assert!(said(&evil, &text) != "ok");
    let linear = with(r"^(a+)+$").unwrap();
    let text = format!(r#"{{"a":"{}!"}}"#, "a".repeat(1_000_000));
    assert!(said(&linear, &text).contains("match the pattern"));
}

#[test]
fn hostile_text_of_a_schema_is_shown_escaped_and_bounded() {
    let schema = schema(&format!(
        r#"{{"type":"object","properties":{{"a":{{"enum":["\u202eevil\u0007`","{}"]}}}}}}"#,
        "x".repeat(5000)
    ));
    let said = said(&schema, r#"{"a":1}"#);
    assert!(said.contains(r"\u{202e}evil\u{7}\u{60}") && said.len() < 700, "{said}");
}
