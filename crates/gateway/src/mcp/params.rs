//! What of a request's parameters goes on to a server. Rules see an action's arguments; whatever else an agent could
//! write beside them would reach the server undecided, so the gate knows every member by name.

use ringfence_json::{Object, Value};

use super::fault::{self, Fault};
use super::message::Request;

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

/// What the names of MCP's own metadata begin with.
const META_OWN: &str = "io.modelcontextprotocol/";

/// Takes out the metadata that is nobody's business but the client's.
///
/// # Errors
/// When there is a parameter that the method does not have: it would mean something to the server that no rule has seen.
pub(crate) fn cut(request: &mut Request) -> Result<(), Fault> {
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
    Ok(())
}

/// Leaves the metadata that goes on.
pub(crate) fn cut_meta(object: &mut Object) {
    if let Some(meta) = object.get_mut("_meta").and_then(Value::as_object_mut) {
        *meta = kept(meta);
    }
}

fn kept(meta: &Object) -> Object {
    let passes = |name: &str| META.contains(&name) || name.starts_with(META_OWN);
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
        cut(&mut request).map_err(|fault| fault.message)?;
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
