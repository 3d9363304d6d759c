//! What schemas accept, what they refuse, and that a hostile one costs little.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use ringfence_json::{Limits, Value, parse};
use ringfence_policy::{InputSchema, SchemaError};

fn value(text: &str) -> Value {
    parse(text.as_bytes(), &Limits { bytes: 10_000_000, depth: 200, values: 1_000_000, number_bytes: 2_000 })
        .unwrap()
}

fn schema(text: &str) -> InputSchema {
    InputSchema::parse(&value(text)).unwrap()
}

fn refusal(text: &str) -> SchemaError {
    InputSchema::parse(&value(text)).unwrap_err()
}

/// What is said of `arguments`; `"ok"` when they fit.
fn said(schema: &InputSchema, arguments: &str) -> String {
    match schema.validate(value(arguments).as_object().unwrap()) {
        Ok(()) => "ok".to_owned(),
        Err(violation) => format!("{} | {}", violation.pointer, violation.message),
    }
}

#[test]
fn violations_name_the_argument_and_what_was_expected() {
    let schema = schema(
        r##"{"type":"object","additionalProperties":false,"required":["query"],"properties":{
            "query":{"type":"string","minLength":2,"maxLength":5,"pattern":"^[a-z]+$"},
            "limit":{"type":"integer","minimum":1,"maximum":10},
            "ratio":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1,"multipleOf":0.25},
            "mode":{"enum":["fast","slow",3]},
            "fixed":{"const":{"a":[1]}},
            "flag":{"type":["boolean","null"]},
            "tags":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":2,"uniqueItems":true},
            "deep":{"type":"object","properties":{"list":{"type":"array","items":{"$ref":"#/$defs/item"}}}},
            "either":{"anyOf":[{"type":"string"},{"type":"integer"}]},
            "never":false}, "$defs":{"item":{"type":"object","required":["id"]}}}"##,
    );
    let cases = [
        r#"{"query":"abc"}"#,
        "{}",
        r#"{"query":7}"#,
        r#"{"query":"a"}"#,
        r#"{"query":"abcdef"}"#,
        r#"{"query":"ABC"}"#,
        r#"{"query":"abc","limit":0}"#,
        r#"{"query":"abc","limit":11}"#,
        r#"{"query":"abc","limit":2.5}"#,
        r#"{"query":"abc","limit":2.0}"#,
        r#"{"query":"abc","ratio":0.75}"#,
        r#"{"query":"abc","ratio":0.3}"#,
        r#"{"query":"abc","ratio":1}"#,
        r#"{"query":"abc","ratio":0}"#,
        r#"{"query":"abc","mode":"fast"}"#,
        r#"{"query":"abc","mode":3.0}"#,
        r#"{"query":"abc","mode":"secret-word"}"#,
        r#"{"query":"abc","fixed":{"a":[1.0]}}"#,
        r#"{"query":"abc","fixed":{"a":[2]}}"#,
        r#"{"query":"abc","flag":null}"#,
        r#"{"query":"abc","flag":1}"#,
        r#"{"query":"abc","tags":[]}"#,
        r#"{"query":"abc","tags":["a","b","c"]}"#,
        r#"{"query":"abc","tags":["a","a"]}"#,
        r#"{"query":"abc","tags":["a",1]}"#,
        r#"{"query":"abc","deep":{"list":[{"id":1},{}]}}"#,
        r#"{"query":"abc","either":true}"#,
        r#"{"query":"abc","never":1}"#,
        r#"{"query":"abc","limits":1}"#,
        r#"{"query":"abc","zzzzzzzzz":1,"y\u202e`":2}"#,
    ];
    let lines: Vec<_> = cases.iter().map(|case| format!("{case}\n  {}", said(&schema, case))).collect();
    let report = lines.join("\n");
    insta::assert_snapshot!(report);
}

#[test]
fn what_was_sent_never_stands_in_a_message() {
    let schema = schema(
        r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"enum":["x"]},"c":{"pattern":"^y$"},
            "d":{"not":{}},"e":{"anyOf":[{"type":"null"},{"const":1}]},"f":{"maximum":3},"g":{"uniqueItems":true}}}"#,
    );
    for arguments in [
        r#"{"a":"hunter2"}"#,
        r#"{"b":"hunter2"}"#,
        r#"{"c":"hunter2"}"#,
        r#"{"d":"hunter2"}"#,
        r#"{"e":"hunter2"}"#,
        r#"{"f":4242}"#,
        r#"{"g":["hunter2","hunter2"]}"#,
    ] {
        let said = said(&schema, arguments);
        assert!(said != "ok" && !said.contains("hunter2") && !said.contains("4242"), "{said}");
    }
}

#[test]
fn numbers_are_never_rounded_past_a_bound() {
    let schema = schema(
        r#"{"type":"object","properties":{"n":{"type":"number","maximum":10},"free":{"type":"number"},
            "whole":{"type":"integer"},"step":{"multipleOf":3},"any":{},"one":{"enum":[0.1, 9007199254740993]},
            "set":{"uniqueItems":true}}}"#,
    );
    let fits = [
        r#"{"n":10}"#,
        r#"{"n":10.0}"#,
        r#"{"n":9.99}"#,
        r#"{"n":0.30000000000000004}"#,
        r#"{"n":-1e300}"#,
        r#"{"free":1e999}"#,
        r#"{"free":10.00000000000000000000001}"#,
        r#"{"whole":123456789012345678901234567890}"#,
        r#"{"whole":1e2}"#,
        r#"{"whole":120e-1}"#,
        r#"{"any":1e999}"#,
        r#"{"step":9007199254740993}"#,
        r#"{"one":1e-1}"#,
        r#"{"one":9007199254740993}"#,
        r#"{"set":[9007199254740993,9007199254740992,"1",1]}"#,
    ];
    for arguments in fits {
        assert_eq!(said(&schema, arguments), "ok", "{arguments}");
    }
    let refused = [
        (r#"{"n":10.00000000000000001}"#, "more digits"),
        (r#"{"n":1e999}"#, "more digits"),
        (r#"{"n":-1e999}"#, "more digits"),
        (r#"{"n":1e-999}"#, "more digits"),
        (r#"{"n":10.5}"#, "at most 10"),
        (r#"{"n":123456789012345678901234567890}"#, "more digits"),
        (r#"{"whole":1.5}"#, "whole number"),
        (r#"{"whole":1e-999999999999999999999999}"#, "whole number"),
        (r#"{"step":9007199254740992}"#, "multiple of 3"),
        (r#"{"one":9007199254740992}"#, "one of"),
        (r#"{"one":0.10000000000000000001}"#, "one of"),
        (r#"{"set":[1,1.0]}"#, "equal elements"),
        (r#"{"set":[1000,1e3]}"#, "equal elements"),
        (r#"{"set":[{"a":1,"b":2},{"b":2,"a":1.0}]}"#, "equal elements"),
    ];
    for (arguments, expected) in refused {
        let said = said(&schema, arguments);
        assert!(said.contains(expected), "{arguments}: {said}");
    }
}

#[test]
fn drafts_are_told_apart_and_others_refused() {
    let tuple = r#"{"type":"object","properties":{"p":{"type":"array","items":[{"type":"string"}],"additionalItems":false}}}"#;
    let draft7 = tuple.replacen('{', r#"{"$schema":"http://json-schema.org/draft-07/schema#","#, 1);
    let draft7 = schema(&draft7);
    assert_eq!(said(&draft7, r#"{"p":["a"]}"#), "ok");
    assert!(said(&draft7, r#"{"p":[1]}"#).contains("must be a string"));
    assert!(matches!(refusal(tuple), SchemaError::Invalid { .. }), "a list of items is not 2020-12");
    assert!(matches!(
        refusal(r#"{"$schema":"http://json-schema.org/draft-04/schema#","type":"object"}"#),
        SchemaError::Dialect { .. }
    ));
    assert!(matches!(refusal(r#"{"$schema":7}"#), SchemaError::Dialect { .. }));
}

#[test]
fn formats_are_annotations_in_both_drafts() {
    for dialect in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"]
    {
        let schema = schema(&format!(
            r#"{{"$schema":"{dialect}","type":"object","properties":{{"a":{{"type":"string","format":"email"}},
                "b":{{"contentEncoding":"base64","contentMediaType":"application/json"}}}}}}"#
        ));
        assert_eq!(said(&schema, r#"{"a":"no mail","b":"%%%"}"#), "ok");
    }
}

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
fn a_recursive_schema_follows_the_value() {
    let tree = schema(
        r##"{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}},"additionalProperties":false}"##,
    );
    assert_eq!(said(&tree, r#"{"children":[{"children":[{}]}]}"#), "ok");
    assert!(said(&tree, r#"{"children":[{"children":[{"x":1}]}]}"#).starts_with("/children/0/children/0 |"));
    let deep = format!("{}{}", r#"{"children":["#.repeat(60), "]}".repeat(60));
    assert!(said(&tree, &deep).contains("deeply nested"), "{}", said(&tree, &deep));
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
    assert!(matches!(with("("), Err(SchemaError::Invalid { .. })));

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

#[test]
fn defaults_are_found_by_path() {
    let schema = schema(
        r##"{"type":"object","properties":{
            "replicas":{"type":"integer","default":3},
            "whole":{"type":"object","default":{"inner":100},"properties":{"inner":{"default":5}}},
            "ref":{"$ref":"#/$defs/r"},
            "either":{"anyOf":[{"default":1},{"default":2}]},
            "same":{"anyOf":[{"default":1},{"default":1}]},
            "list":{"type":"array","items":{"type":"object","properties":{"n":{"default":9}}}},
            "null":{"default":null}},
            "allOf":[{"properties":{"late":{"default":"x"}}}],
            "$defs":{"r":{"properties":{"n":{"default":7}}}}}"##,
    );
    let text = |found: Option<&Value>| found.map(|value| String::from_utf8(value.to_canonical()).unwrap());
    let of = |path: &[&str]| text(schema.default_of(path));
    assert_eq!(of(&["replicas"]).as_deref(), Some("3"));
    assert_eq!(of(&["whole", "inner"]).as_deref(), Some("5"));
    assert_eq!(of(&["ref", "n"]).as_deref(), Some("7"));
    assert_eq!(of(&["either"]), None, "two defaults, so nobody knows");
    assert_eq!(of(&["same"]).as_deref(), Some("1"));
    assert_eq!(of(&["list", "n"]).as_deref(), Some("9"));
    assert_eq!(of(&["null"]).as_deref(), Some("null"));
    assert_eq!(of(&["late"]).as_deref(), Some("\"x\""));
    assert_eq!(of(&["other"]), None);

    let within = |arguments: &str, path: &[&str]| {
        text(schema.default_for(value(arguments).as_object().unwrap(), path))
    };
    assert_eq!(
        within("{}", &["whole", "inner"]).as_deref(),
        Some("100"),
        "the outer default is what the tool takes"
    );
    assert_eq!(within(r#"{"whole":{}}"#, &["whole", "inner"]).as_deref(), Some("5"));
    assert_eq!(within(r#"{"whole":{"inner":1}}"#, &["whole", "inner"]), None, "it is there");
    assert_eq!(within(r#"{"whole":[1]}"#, &["whole", "inner"]), None);
    assert_eq!(within("{}", &["ref", "n"]), None, "the object around it has no default");
}

#[test]
fn arguments_are_known_by_name_and_path() {
    let schema = schema(
        r##"{"type":"object","properties":{"a":{},"b":{"type":"array","items":{"type":"array","items":{"properties":{"c":{}}}}}},
            "oneOf":[{"properties":{"d":{}}},{"$ref":"#/$defs/e"}],"$defs":{"e":{"properties":{"e":{},"a":{}}}}}"##,
    );
    assert_eq!(schema.arguments().collect::<Vec<_>>(), ["a", "b", "d", "e"]);
    for (path, known) in [
        (&["a"][..], true),
        (&["b", "c"], true),
        (&["e"], true),
        (&["b", "x"], false),
        (&["x"], false),
        (&[], false),
    ] {
        assert_eq!(schema.has_path(path), known, "{path:?}");
    }
    assert!(schema.has_argument("d") && !schema.has_argument("c"));
}
