//! Refusals, each in its provider's own shape.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::said::quoted;
use crate::wire::Api;

/// A refusal with a status, and what is said about it.
pub fn refusal(
    api: Option<Api>,
    status: u16,
    said: Option<&str>,
    retry_after: Option<u32>,
) -> Response<String> {
    let body = match api {
        Some(api) if api.is_anthropic() => anthropic(status, said),
        _ => openai(status, said),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

fn openai(status: u16, said: Option<&str>) -> String {
    let (kind, code, usual) = match status {
        400 => ("invalid_request_error", "null", "Your request is not valid."),
        401 => ("invalid_request_error", "\"invalid_api_key\"", "Incorrect API key provided."),
        403 => ("invalid_request_error", "\"unsupported_country_region_territory\"", "Not allowed."),
        404 => ("invalid_request_error", "\"model_not_found\"", "The model does not exist."),
        413 => ("invalid_request_error", "\"request_too_large\"", "The request is too large."),
        429 => ("requests", "\"rate_limit_exceeded\"", "Rate limit reached for requests."),
        503 => ("server_error", "null", "The engine is currently overloaded, please try again later."),
        _ => ("server_error", "null", "The server had an error while processing your request."),
    };
    let said = quoted(said.unwrap_or(usual));
    format!(
        "{{\n  \"error\": {{\n    \"message\": {said},\n    \"type\": \"{kind}\",\n    \"param\": null,\n    \"code\": {code}\n  }}\n}}"
    )
}

fn anthropic(status: u16, said: Option<&str>) -> String {
    let (kind, usual) = match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low."),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
        404 => ("not_found_error", "model not found"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your organization's rate limit."),
        504 => ("timeout_error", "Request timed out."),
        529 => ("overloaded_error", "Overloaded"),
        400..=499 => ("invalid_request_error", "Your request is not valid."),
        _ => ("api_error", "Internal server error"),
    };
    let said = quoted(said.unwrap_or(usual));
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{said}}},"request_id":"req_mock"}}"#)
}
