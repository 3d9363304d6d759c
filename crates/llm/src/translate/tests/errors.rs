use super::{canonical, object};
use crate::translate::{error_to_chat, error_to_messages};

#[test]
fn an_error_of_anthropic_has_its_type_at_openai() {
    // Status and type there; status, type and code here.
    let pairs = [
        (400, "invalid_request_error", 400, "invalid_request_error", "null"),
        (401, "authentication_error", 401, "authentication_error", r#""invalid_api_key""#),
        (402, "billing_error", 402, "insufficient_quota", r#""insufficient_quota""#),
        (403, "permission_error", 403, "permission_error", "null"),
        (404, "not_found_error", 404, "invalid_request_error", "null"),
        (413, "request_too_large", 413, "invalid_request_error", "null"),
        (429, "rate_limit_error", 429, "requests", r#""rate_limit_exceeded""#),
        (500, "api_error", 500, "server_error", "null"),
        (504, "timeout_error", 504, "server_error", r#""timeout""#),
        (529, "overloaded_error", 503, "server_error", r#""overloaded""#),
    ];
    for (status, kind, there, kind_there, code) in pairs {
        let error =
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"M"}},"request_id":"r"}}"#);
        let expected =
            format!(r#"{{"error":{{"message":"M","type":"{kind_there}","param":null,"code":{code}}}}}"#);
        let (translated, body) = error_to_chat(status, &object(&error));
        assert_eq!((translated, canonical(&body)), (there, canonical(&object(&expected))), "{kind}");
        // By its status alone it is the same.
        let (translated, body) = error_to_chat(status, &object(r#"{"message":"not in this shape"}"#));
        let body = canonical(&body);
        assert_eq!(translated, there);
        assert!(body.contains(&format!(r#""type":"{kind_there}""#)) && !body.contains("shape"), "{body}");
    }
}

#[test]
fn an_error_of_openai_has_its_type_at_anthropic() {
    let pairs = [
        (400, "null", 400, "invalid_request_error"),
        (401, r#""invalid_api_key""#, 401, "authentication_error"),
        (403, "null", 403, "permission_error"),
        (404, r#""model_not_found""#, 404, "not_found_error"),
        (413, "null", 413, "request_too_large"),
        (422, "null", 422, "invalid_request_error"),
        (429, r#""rate_limit_exceeded""#, 429, "rate_limit_error"),
        (429, r#""insufficient_quota""#, 402, "billing_error"),
        (500, "null", 500, "api_error"),
        (502, "null", 502, "api_error"),
        (503, "null", 529, "overloaded_error"),
        (504, "null", 504, "timeout_error"),
    ];
    for (status, code, there, kind) in pairs {
        let error = format!(r#"{{"error":{{"message":"M","type":"t","param":null,"code":{code}}}}}"#);
        let expected = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"M"}}}}"#);
        let (translated, body) = error_to_messages(status, &object(&error));
        assert_eq!((translated, canonical(&body)), (there, canonical(&object(&expected))), "{status} {code}");
    }
}

#[test]
fn a_conversation_that_is_too_long_is_known_as_such_on_both_sides() {
    let there =
        r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#;
    let (_, chat) = error_to_chat(400, &object(there));
    assert!(canonical(&chat).contains(r#""code":"context_length_exceeded""#));
    let (_, messages) = error_to_messages(400, &chat);
    assert!(canonical(&messages).contains(r#""message":"prompt is too long: "#));
}
