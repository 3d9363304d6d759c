//! What of a request's parameters goes on to a server. Rules see an action's arguments; whatever else an agent could
//! write beside them would reach the server undecided, so the gate knows every member by name.

use ringfence_json::{Object, Value};

use super::era;
use super::fault::{self, Fault};
use super::message::{Id, Request};
use super::wire::write_object;
use crate::Limits;

/// The members of `params`, by method (MCP 2026-07-28 and 2025-11-25, schema).
const KNOWN: &[(&str, &[&str])] = &[
    ("tools/call", &["name", "arguments", "task", "inputResponses", "requestState"]),
    ("prompts/get", &["name", "arguments", "inputResponses", "requestState"]),
    ("resources/read", &["uri", "inputResponses", "requestState"]),
    ("resources/subscribe", &["uri"]),
    ("resources/unsubscribe", &["uri"]),
    ("completion/complete", &["ref", "argument", "context"]),
    ("tools/list", &["cursor"]),
    ("prompts/list", &["cursor"]),
    ("resources/list", &["cursor"]),
    ("resources/templates/list", &["cursor"]),
    ("initialize", &["protocolVersion", "capabilities", "clientInfo"]),
    ("logging/setLevel", &["level"]),
    ("subscriptions/listen", &["notifications"]),
];

/// The metadata that goes on besides MCP's own: progress, and W3C Trace Context.
const META: [&str; 3] = ["progressToken", "traceparent", "tracestate"];

/// MCP's own metadata of requests (MCP 2026-07-28, "Metadata").
const META_OWN: [&str; 4] =
    [era::META_VERSION, era::META_CLIENT, era::META_CAPABILITIES, "io.modelcontextprotocol/logLevel"];

/// Takes out the metadata that is nobody's business but the client's.
///
/// # Errors
/// When there is a parameter that the method does not have: it would mean something to the server that no rule has seen.
pub(crate) fn cut(request: &mut Request, limits: &Limits) -> Result<(), Fault> {
    let Some(params) = request.params.as_mut() else { return Ok(()) };
    let known =
        KNOWN.iter().find(|(method, _)| *method == request.method).map_or(&[][..], |(_, known)| known);
    if let Some((name, _)) =
        params.iter().find(|(name, _)| name.as_str() != "_meta" && !known.contains(&name.as_str()))
    {
        let name: String = name.chars().take(64).collect();
        let message = format!("`{}` has no parameter `{}`", request.method, name.escape_debug());
        return Err(Fault::answer(fault::INVALID_PARAMS, message));
    }
    cut_meta(params);
    check_meta(params.get("_meta"), limits)?;
    if request.method == "initialize" && bytes(params) > limits.client_bytes {
        let message = format!("`initialize` has more than {} bytes", limits.client_bytes);
        return Err(Fault::answer(fault::INVALID_PARAMS, message));
    }
    Ok(())
}

/// Whether the metadata that goes on is as small as what it is for.
fn check_meta(meta: Option<&Value>, limits: &Limits) -> Result<(), Fault> {
    let invalid = |message: String| Err(Fault::answer(fault::INVALID_PARAMS, message));
    let Some(meta) = meta.and_then(Value::as_object) else { return Ok(()) };
    let is_token = match meta.get("progressToken") {
        None => true,
        Some(token @ Value::Number(_)) => Id::read(token.clone()).is_ok(),
        Some(token) => token.as_str().is_some_and(|token| token.len() <= limits.progress_token_bytes),
    };
    if !is_token {
        let max = limits.progress_token_bytes;
        return invalid(format!("`progressToken` has to be an integer, or a string of at most {max} bytes"));
    }
    if bytes(meta) > limits.client_bytes {
        return invalid(format!("`_meta` has more than {} bytes", limits.client_bytes));
    }
    Ok(())
}

fn bytes(object: &Object) -> usize {
    let mut bytes = Vec::new();
    write_object(object, &mut bytes);
    bytes.len()
}

/// Leaves the metadata that goes on.
pub(crate) fn cut_meta(object: &mut Object) {
    if let Some(meta) = object.get_mut("_meta").and_then(Value::as_object_mut) {
        *meta = kept(meta);
    }
}

fn kept(meta: &Object) -> Object {
    let passes = |name: &str| META.contains(&name) || META_OWN.contains(&name);
    meta.iter()
        .filter(|(name, _)| passes(name))
        .fold(Object::new(), |kept, (name, value)| kept.with(name.clone(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::era::Era;
    use super::super::method::{Kind, kind};
    use super::*;

    fn cut_of(method: &str, params: &str) -> Result<String, String> {
        let params = ringfence_json::parse(params.as_bytes(), &ringfence_json::Limits::default()).unwrap();
        let mut request = Request::new(1.into(), method, params.into_object().unwrap());
        cut(&mut request, &Limits::default()).map_err(|fault| fault.message)?;
        Ok(Value::from(request.params.unwrap()).to_string())
    }

    #[test]
    fn only_known_metadata_goes_on() {
        let params = r#"{"name":"t","_meta":{"progressToken":7,"x/secret":"s","traceparent":"00-a-b-01","io.modelcontextprotocol/clientInfo":{}}}"#;
        assert_eq!(
            cut_of("tools/call", params).unwrap(),
            r#"{"name":"t","_meta":{"progressToken":7,"traceparent":"00-a-b-01","io.modelcontextprotocol/clientInfo":{}}}"#
        );
    }

    #[test]
    fn metadata_and_greetings_are_bounded() {
        let with = |token: &str| format!(r#"{{"name":"t","_meta":{{"progressToken":{token}}}}}"#);
        let long = |count: usize| format!("\"{}\"", "x".repeat(count));
        for good in ["7", "-70000000000000000000", "\"t\"", &long(256)] {
            assert!(cut_of("tools/call", &with(good)).is_ok(), "{good}");
        }
        for bad in ["1.5", "{}", "null", &long(257)] {
            assert!(cut_of("tools/call", &with(bad)).unwrap_err().contains("progressToken"), "{bad}");
        }
        let large = format!(r#"{{"_meta":{{"io.modelcontextprotocol/clientInfo":{}}}}}"#, long(20_000));
        assert!(cut_of("tools/call", &large).unwrap_err().contains("16384 bytes"));
        let greeting = format!(r#"{{"clientInfo":{{"name":{}}}}}"#, long(20_000));
        assert!(cut_of("initialize", &greeting).unwrap_err().contains("16384 bytes"));
        let own = r#"{"name":"t","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"x"}}}"#;
        assert_eq!(cut_of("tools/call", own).unwrap(), r#"{"name":"t","_meta":{}}"#);
    }

    #[test]
    fn a_parameter_that_no_rule_has_seen_is_refused() {
        for (method, params) in [
            ("tools/call", r#"{"name":"t","extra":1}"#),
            ("tools/list", r#"{"cursor":null,"uri":"x"}"#),
            ("ping", r#"{"x":1}"#),
        ] {
            assert!(cut_of(method, params).unwrap_err().contains("has no parameter"), "{method}");
        }
    }

    #[test]
    fn every_method_that_passes_and_has_parameters_is_listed() {
        for (method, _) in KNOWN {
            assert!([Era::Modern, Era::Legacy].iter().any(|era| kind(*era, method).is_some()), "{method}");
        }
        assert_eq!(kind(Era::Legacy, "ping"), Some(Kind::Ping));
    }
}
