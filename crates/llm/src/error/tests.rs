//! Every refusal in both shapes, and what of a provider's error passes.

use std::time::Duration;

use proptest::prelude::*;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_types::{ActionId, Code, Refusal, Timestamp};

use super::*;
use crate::Family;

fn refused(code: Code, retry_after: Option<Duration>) -> Refusal {
    let action = ActionId::new(Timestamp::from_micros(0), [0; 10]);
    Refusal { retry_after, ..Refusal::new(code, action, "no, and here is why") }
}

fn text(body: &Object) -> String {
    Value::Object(body.clone()).to_string()
}

/// Code, status and type of OpenAI, status and type of Anthropic, and what the header says.
const REFUSALS: &[(Code, u16, &str, u16, &str, &str)] = &[
    (Code::DeniedByPolicy, 403, "permission_error", 403, "permission_error", "no"),
    (Code::NotGranted, 404, "invalid_request_error", 404, "not_found_error", "no"),
    (Code::ApprovalRequired, 409, "invalid_request_error", 409, "invalid_request_error", "no"),
    (Code::ApprovalDenied, 403, "permission_error", 403, "permission_error", "no"),
    (Code::ApprovalExpired, 403, "permission_error", 403, "permission_error", "no"),
    (Code::Suspended, 403, "permission_error", 403, "permission_error", "no"),
    (Code::OverBudget, 402, "insufficient_quota", 402, "billing_error", "no"),
    (Code::RateLimited, 429, "rate_limit_error", 429, "rate_limit_error", "after"),
    (Code::BreakerOpen, 503, "server_error", 529, "overloaded_error", "after"),
    (Code::Repetition, 403, "permission_error", 403, "permission_error", "no"),
    (Code::Deadline, 403, "permission_error", 403, "permission_error", "no"),
    (Code::InvalidInput, 400, "invalid_request_error", 400, "invalid_request_error", "no"),
    (Code::DefinitionChanged, 403, "permission_error", 403, "permission_error", "no"),
    (Code::TooLarge, 413, "invalid_request_error", 413, "request_too_large", "no"),
    (Code::Overloaded, 503, "server_error", 529, "overloaded_error", "after"),
    (Code::UpstreamFailed, 502, "server_error", 502, "api_error", ""),
    (Code::OutcomeUnknown, 502, "server_error", 502, "api_error", "no"),
    (Code::LedgerUnavailable, 503, "server_error", 529, "overloaded_error", "after"),
];

#[test]
fn every_code_has_its_status_its_type_and_its_word_about_trying_again() {
    let listed: Vec<Code> = REFUSALS.iter().map(|row| row.0).collect();
    assert_eq!(listed, Code::ALL);
    for (code, openai_status, openai_type, anthropic_status, anthropic_type, again) in REFUSALS {
        for (family, status, kind) in [
            (Family::OpenAi, openai_status, openai_type),
            (Family::Anthropic, anthropic_status, anthropic_type),
        ] {
            let answer = refusal(family, &refused(*code, None), None);
            let error = answer.body.get("error").unwrap();
            assert_eq!(
                (answer.status, error.get("type").unwrap().as_str()),
                (*status, Some(*kind)),
                "{code}"
            );
            assert_eq!(error.get("message").unwrap().as_str(), Some("no, and here is why"));
            assert_eq!(error.pointer("/ringfence/code").unwrap().as_str(), Some(code.as_str()));
            let headers: Vec<_> =
                answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let expected: &[_] = match *again {
                "no" => &[("x-should-retry", "false")],
                "after" => &[("retry-after", "2")],
                _ => &[],
            };
            assert_eq!(headers, expected, "{code}");
        }
    }
}

#[test]
fn the_shapes_are_the_providers_own() {
    let refused = refused(Code::InvalidInput, None);
    let decision = r#"{"decision":"DENY","code":"invalid_input","reason":"no, and here is why","action":"act_00000000000000000000000000"}"#;
    let openai = refusal(Family::OpenAi, &refused, Some("messages[0]"));
    assert_eq!(
        text(&openai.body),
        format!(
            r#"{{"error":{{"message":"no, and here is why","type":"invalid_request_error","param":"messages[0]","code":"invalid_input","ringfence":{decision}}}}}"#
        )
    );
    let anthropic = refusal(Family::Anthropic, &refused, Some("messages[0]"));
    assert_eq!(
        text(&anthropic.body),
        format!(
            r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"no, and here is why","details":{{"error_code":"invalid_input","param":"messages[0]"}},"ringfence":{decision}}}}}"#
        )
    );
    assert_eq!(
        text(&unauthenticated(Family::OpenAi, "no such token").body),
        r#"{"error":{"message":"no such token","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#
    );
    assert_eq!(no_such_path(Family::Anthropic, "x").status, 404);
    assert_eq!(unauthenticated(Family::Anthropic, "x").status, 401);
}

#[test]
fn a_model_that_is_not_held_is_not_found_in_openais_word() {
    let answer = refusal(Family::OpenAi, &refused(Code::NotGranted, None), Some("model"));
    assert_eq!(Value::from(answer.body).pointer("/error/code").unwrap().as_str(), Some("model_not_found"));
}

#[test]
fn the_wait_is_rounded_up_to_seconds() {
    for (code, wait, seconds) in
        [(Code::RateLimited, 1_001, "2"), (Code::Overloaded, 3_000, "3"), (Code::UpstreamFailed, 1, "1")]
    {
        let answer = refusal(Family::OpenAi, &refused(code, Some(Duration::from_millis(wait))), None);
        assert_eq!(answer.headers, [("retry-after", seconds.to_owned())]);
    }
}

#[test]
fn nothing_that_may_be_a_key_passes() {
    for (said, passed) in [
        (
            "Incorrect API key provided: sk-proj-abcdEFGH1234567890. You can",
            "Incorrect API key provided: [redacted] You can",
        ),
        ("Incorrect API key provided: sk-ab***********wxyz.", "Incorrect API key provided: [redacted]"),
        ("Incorrect API key provided: abcd****wxyz", "Incorrect API key provided: [redacted]"),
        ("Incorrect API key provided: My-Key-9", "Incorrect API key provided: [redacted]"),
        ("key \\\"sk-ant-api03-AAAAAAAAAAAA\\\" is", "key \\\"[redacted]\\\" is"),
        ("?key=AIzaSyA1234567890abcdefghij&x", "?key=[redacted]&x"),
        ("Bearer eyJhbGciOi.J9.x", "Bearer [redacted]"),
        ("gsk_1234567890abcdef", "[redacted]"),
        ("sk-or...abcd is wrong", "[redacted] is wrong"),
        ("0123456789abcdef0123456789abcdef", "[redacted]"),
        ("the secret hunter2-hunter2 is", "the secret [redacted] is"),
    ] {
        let redacted = redact(said.as_bytes(), &[b"hunter2-hunter2", b"short"])
            .map(|out| String::from_utf8(out).unwrap());
        assert_eq!(redacted.as_deref(), Some(passed), "{said}");
    }
    for said in [
        "req_011CSHoEeqs5C35K2UUqR7Fy could not be served",
        "resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b not found",
        "Bearer authentication is needed",
        "skip-level and short words",
        "model claude-opus-4-1-20250805 and gpt-4o-2024-08-06 for 6b8e1c1e-5b0a-4a3e-9d5e-0d6c1a2b3c4d",
        "人人生而自由",
        "",
    ] {
        assert_eq!(redact(said.as_bytes(), &[b"short"]), None, "{said}");
    }
}

fn pass(family: Family, status: u16, body: &str, headers: &[(&str, &'static str)]) -> Passed {
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    from_upstream(family, (status, "/chat/completions"), body.as_bytes(), header, &[])
}

#[test]
fn a_providers_error_passes_untouched_with_its_id() {
    let body = r#"{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}"#;
    let headers =
        [("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy"), ("retry-after", "1.5"), ("set-cookie", "x")];
    let passed = pass(Family::Anthropic, 529, body, &headers);
    assert_eq!((passed.status, passed.body.as_slice(), passed.untouched), (529, body.as_bytes(), true));
    let kept: Vec<&str> = passed.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(kept, ["request-id", "retry-after"]);
    assert_eq!(passed.retry, Retry { safe: true, after: Some(Duration::from_millis(1_500)) });
}

#[test]
fn a_refused_key_is_not_the_clients_fault_and_is_not_shown() {
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-abcd****","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    let passed = pass(Family::OpenAi, 401, body, &[("x-should-retry", "true")]);
    let said = String::from_utf8(passed.body).unwrap();
    assert_eq!(passed.status, 502);
    assert!(!said.contains("sk-") && said.contains("the gateway's key"), "{said}");
    assert_eq!(passed.headers, [("x-should-retry", "false".to_owned())]);
}

#[test]
fn a_redirect_is_a_failure_and_not_followed() {
    for status in [301, 302, 307, 308] {
        let passed = pass(Family::OpenAi, status, "", &[("location", "http://elsewhere.test")]);
        let said = String::from_utf8(passed.body).unwrap();
        assert!(passed.status == 502 && said.contains("not followed"), "{said}");
        assert_eq!(passed.headers, [("x-should-retry", "false".to_owned())]);
        assert!(!passed.retry.safe);
    }
}

#[test]
fn a_path_that_there_is_not_is_told_from_a_model_that_there_is_not() {
    let passed = pass(Family::OpenAi, 404, r#"{"detail":"Not Found"}"#, &[]);
    let said = String::from_utf8(passed.body).unwrap();
    assert!(
        passed.status == 404 && said.contains("nothing at /chat/completions") && said.contains("lack /v1"),
        "{said}"
    );
    for known in [r#"{"error":"model 'm' not found"}"#, r#"{"error":{"message":"no model m"}}"#] {
        assert_eq!(pass(Family::OpenAi, 404, known, &[]).body, known.as_bytes());
    }
}

#[test]
fn what_is_no_readable_error_is_replaced_by_one() {
    let long = format!(r#"{{"error":"{}"}}"#, "a".repeat(ERROR_BYTES_MAX));
    for body in ["<html>502 Bad Gateway</html>", "", "[]", "{\"error\":", &long] {
        let passed = pass(Family::OpenAi, 504, body, &[]);
        let value = parse(&passed.body, &Limits::default()).unwrap();
        assert_eq!(value.pointer("/error/code").unwrap().as_str(), Some("upstream_failed"));
        assert_eq!((passed.status, passed.untouched, passed.retry.safe), (504, false, true));
    }
}

/// Status, body, headers, and whether it may be sent again.
type Case = (u16, &'static str, &'static [(&'static str, &'static str)], bool);

#[test]
fn it_is_sent_again_only_where_the_provider_did_nothing() {
    const SPENT: &str = r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let cases: &[Case] = &[
        (408, "{}", &[], true),
        (429, "{}", &[], true),
        (429, SPENT, &[], false),
        (500, "{}", &[], true),
        (500, "{}", &[("x-should-retry", "false")], false),
        (409, "{}", &[("x-should-retry", "true")], true),
        (409, "{}", &[], false),
        (501, "{}", &[], false),
        (529, "{}", &[], true),
        (400, "{}", &[], false),
        (200, "{}", &[("x-should-retry", "true")], false),
    ];
    for (status, body, headers, safe) in cases {
        assert_eq!(
            pass(Family::OpenAi, *status, body, headers).retry.safe,
            *safe,
            "{status} {body} {headers:?}"
        );
    }
}

#[test]
fn a_wait_is_read_as_the_headers_have_it() {
    let day = Some(Duration::from_hours(24));
    for (name, value, after) in [
        ("retry-after", "7", Some(Duration::from_secs(7))),
        ("retry-after-ms", "250", Some(Duration::from_millis(250))),
        ("retry-after", "99999999999999999999999999", day),
        ("retry-after", "-1", None),
        ("retry-after", "inf", None),
        ("retry-after", ".", None),
        ("retry-after", "Wed, 21 Oct 2026 07:28:07 GMT", Some(Duration::from_secs(7))),
        ("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT", Some(Duration::ZERO)),
        ("retry-after", "Tue, 31 Dec 2999 23:59:59 GMT", day),
        ("retry-after", "soon", None),
    ] {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let headers: &'static [(&str, &str)] = Box::leak(Box::new([(name, value), date]));
        assert_eq!(pass(Family::OpenAi, 429, "{}", headers).retry.after, after, "{value}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_json_stays_json(text in "\\PC{0,80}", key in "sk-[a-zA-Z0-9]{20,40}", bytes: Vec<u8>) {
        let _ = redact(&bytes, &[]);
        let body = Value::from(Object::new().with("error", Object::new().with("message", format!("{text} {key}")))).to_bytes();
        let passed = from_upstream(Family::OpenAi, (400, ""), &body, |_| None, &[]);
        prop_assert!(parse(&passed.body, &Limits::default()).is_ok());
        prop_assert!(!String::from_utf8(passed.body).unwrap().contains(&key));
        let _ = from_upstream(Family::Anthropic, (500, ""), &bytes, |_| None, &[]);
    }
}
