//! What schemas accept, what they refuse, and that a hostile one costs little.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;

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

#[test]
fn a_large_value_that_fits_is_not_given_up() {
    let rows = schema(
        r#"{"type":"object","properties":{"rows":{"type":"array","items":{"type":"object","required":["id"],
            "properties":{"id":{"type":"integer"},"name":{"type":"string","maxLength":20},"tags":{"type":"array","items":{"enum":["a","b"]}}}}},
            "text":{"type":"string","minLength":5}}}"#,
    );
    let row = r#"{"id":1,"name":"somebody","tags":["a","b","a"]}"#;
    let many = format!(r#"{{"rows":[{}],"text":"{}"}}"#, vec![row; 20_000].join(","), "x".repeat(2_000_000));
    assert_eq!(said(&rows, &many), "ok");
}
