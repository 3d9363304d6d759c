use proptest::prelude::*;

use super::*;

fn object(text: &str) -> Object {
    ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default()).unwrap().into_object().unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn request(method: &str, params: &str) -> Request {
    Request::new(1.into(), method, object(params))
}

#[test]
fn values_are_wrapped_as_in_the_specification() {
    for (text, written) in [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ] {
        assert_eq!(encode(text).unwrap(), written);
        assert_eq!(decode(written).as_deref(), Some(text));
    }
    assert_eq!(decode("=?base64?%%?="), None);
}

#[test]
fn standard_headers_have_to_repeat_the_message() {
    let call = request("tools/call", r#"{"name":"über"}"#);
    let name = "=?base64?w7xiZXI=?=";
    assert_eq!(check_standard(&headers(&[("mcp-method", "tools/call"), ("mcp-name", name)]), &call), Ok(()));
    for wrong in [
        &[("mcp-method", "tools/call")][..],
        &[("mcp-name", name)],
        &[("mcp-method", "TOOLS/CALL"), ("mcp-name", name)],
        &[("mcp-method", "tools/call"), ("mcp-name", "other")],
        &[("mcp-method", "tools/call"), ("mcp-name", "=?base64?%?=")],
        &[("mcp-method", "tools/call"), ("mcp-method", "tools/call"), ("mcp-name", name)],
    ] {
        assert!(check_standard(&headers(wrong), &call).is_err(), "{wrong:?}");
    }
    let list = request("tools/list", "{}");
    assert_eq!(check_standard(&headers(&[("mcp-method", "tools/list")]), &list), Ok(()));
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"}}}}}"#;

#[test]
fn arguments_are_repeated_and_compared() {
    let annotations = ParamHeaders::of_schema(&object(SCHEMA)).unwrap();
    let arguments = object(r#"{"region":"eu ","deep":{"count":42}}"#);
    let mut written = HeaderMap::new();
    annotations.write(&arguments, &mut written);
    assert_eq!(written["mcp-param-region"], "=?base64?ZXUg?=");
    assert_eq!(written["mcp-param-count"], "42");
    assert_eq!(annotations.check(&written, Some(&arguments)), Ok(()));
    let numerically = headers(&[("mcp-param-region", "=?base64?ZXUg?="), ("mcp-param-count", "42.0")]);
    assert_eq!(annotations.check(&numerically, Some(&arguments)), Ok(()));
    for wrong in [
        &[("mcp-param-count", "42")][..],
        &[("mcp-param-region", "eu"), ("mcp-param-count", "42")],
        &[("mcp-param-region", "=?base64?ZXUg?="), ("mcp-param-count", "43")],
        &[("mcp-param-region", "=?base64?!?="), ("mcp-param-count", "42")],
    ] {
        assert!(annotations.check(&headers(wrong), Some(&arguments)).is_err(), "{wrong:?}");
    }
    let absent = object(r#"{"region":null}"#);
    assert_eq!(annotations.check(&HeaderMap::new(), Some(&absent)), Ok(()));
    assert!(annotations.check(&headers(&[("mcp-param-region", "x")]), Some(&absent)).is_err());
}

#[test]
fn annotations_against_the_rules_are_found() {
    for schema in [
        r#"{"x-mcp-header":"A"}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":""}}}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":7}}}"#,
        r#"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
        r#"{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}"#,
        r#"{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#,
        r#"{"$defs":{"a":{"type":"string","x-mcp-header":"A"}}}"#,
    ] {
        assert!(ParamHeaders::of_schema(&object(schema)).is_err(), "{schema}");
    }
    let values = r#"{"properties":{"a":{"default":{"x-mcp-header":"A"}}}}"#;
    assert!(ParamHeaders::of_schema(&object(values)).unwrap().is_empty());
}

proptest! {
    #[test]
    fn every_text_comes_back(text in ".{0,40}") {
        let written = encode(&text).unwrap();
        prop_assert_eq!(decode(written.to_str().unwrap()), Some(text));
    }
}
