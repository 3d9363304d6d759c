//! The headers in which MCP repeats parts of a message (MCP 2026-07-28, Streamable HTTP, "Request Metadata").
//!
//! Towards agents they have to agree with the message; towards upstreams they are made anew from the message that
//! is sent, so that a narrowed argument is narrowed in its header as well.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use ringfence_json::{Number, Object, Value};
use smol_str::SmolStr;

use super::message::Request;

/// `MCP-Protocol-Version`
pub const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Session-Id`, of the revisions before 2026-07-28.
pub const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// `Mcp-Method`
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// `Last-Event-ID`, of the revisions before 2026-07-28.
pub const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

const PARAM_PREFIX: &str = "mcp-param-";
const BASE64_PREFIX: &str = "=?base64?";
const BASE64_SUFFIX: &str = "?=";

/// Arguments of one tool that are repeated in headers (`x-mcp-header` in its input schema).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamHeaders(Vec<ParamHeader>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct ParamHeader {
    /// From the arguments to the value, one member name after the other.
    path: Vec<SmolStr>,
    header: HeaderName,
}

/// A tool's `x-mcp-header` annotations break the rules; such a tool must not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`x-mcp-header` at {at}: {what}")]
pub struct AnnotationError {
    at: String,
    what: &'static str,
}

// === impl ParamHeaders ===

impl ParamHeaders {
    /// The annotations of an input schema ("Schema Extension").
    ///
    /// # Errors
    /// When one is not a header name, stands twice, is on something else than a string, integer or boolean, or is
    /// not reachable through `properties` alone.
    pub fn of_schema(schema: &Object) -> Result<Self, AnnotationError> {
        let mut found = Self::default();
        let mut path = Vec::new();
        walk(schema, &mut path, true, &mut found.0)?;
        let mut names = HashSet::new();
        match found.0.iter().find(|annotation| !names.insert(annotation.header.clone())) {
            Some(twice) => Err(fail(&twice.path, "the name stands twice")),
            None => Ok(found),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the headers repeat the arguments.
    ///
    /// # Errors
    /// When one is missing, too many, or says something else; the text says which.
    pub fn check(&self, headers: &HeaderMap, arguments: Option<&Object>) -> Result<(), String> {
        for annotation in &self.0 {
            let name = &annotation.header;
            let expected = arguments.and_then(|arguments| annotation.value(arguments));
            match (single(headers, name)?, expected) {
                (Some(_), None) => return Err(format!("{name} repeats an argument that is not there")),
                (None, Some(_)) => return Err(format!("{name} is missing")),
                (Some(written), Some(expected)) if !says(written, expected)? => {
                    return Err(format!("{name} does not say what the argument says"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The headers that repeat these arguments.
    pub fn write(&self, arguments: &Object, headers: &mut HeaderMap) {
        for annotation in &self.0 {
            let value = annotation.value(arguments).and_then(text_of).and_then(|text| encode(&text));
            if let Some(value) = value {
                headers.insert(annotation.header.clone(), value);
            }
        }
    }
}

impl ParamHeader {
    /// The value that is repeated; none for what is missing, `null` or not a plain value.
    fn value<'a>(&self, arguments: &'a Object) -> Option<&'a Value> {
        let (last, path) = self.path.split_last()?;
        let object = path.iter().try_fold(arguments, |object, name| object.get(name)?.as_object())?;
        object.get(last).filter(|value| text_of(value).is_some())
    }
}

/// Looks for annotations below a schema; `reachable` while the way from the root goes through `properties` alone.
fn walk(
    schema: &Object,
    path: &mut Vec<SmolStr>,
    reachable: bool,
    found: &mut Vec<ParamHeader>,
) -> Result<(), AnnotationError> {
    for (keyword, value) in schema.iter() {
        match (keyword.as_str(), value) {
            ("x-mcp-header", _) if !reachable || path.is_empty() => {
                return Err(fail(path, "it has to be on a property that `properties` alone lead to"));
            }
            ("x-mcp-header", value) => found.push(annotation(schema, value, path)?),
            ("properties", Value::Object(properties)) => {
                for (name, schema) in properties.iter() {
                    let Value::Object(schema) = schema else { continue };
                    path.push(name.clone());
                    walk(schema, path, reachable, found)?;
                    path.pop();
                }
            }
            // Values, not schemas.
            ("default" | "const" | "enum" | "examples", _) => {}
            ("$defs" | "definitions" | "dependentSchemas" | "patternProperties", Value::Object(schemas)) => {
                for (_, schema) in schemas.iter() {
                    walk_off(schema, path, found)?;
                }
            }
            (_, value) => walk_off(value, path, found)?,
        }
    }
    Ok(())
}

/// Looks for annotations where there must be none.
fn walk_off(
    value: &Value,
    path: &mut Vec<SmolStr>,
    found: &mut Vec<ParamHeader>,
) -> Result<(), AnnotationError> {
    match value {
        Value::Object(schema) => walk(schema, path, false, found),
        Value::Array(schemas) => schemas.iter().try_for_each(|schema| walk_off(schema, path, found)),
        _ => Ok(()),
    }
}

fn annotation(schema: &Object, value: &Value, path: &[SmolStr]) -> Result<ParamHeader, AnnotationError> {
    let name = value.as_str().filter(|name| !name.is_empty());
    let header = name.and_then(|name| HeaderName::try_from(format!("{PARAM_PREFIX}{name}")).ok());
    let Some(header) = header else { return Err(fail(path, "the name is not one a header can have")) };
    match schema.text("type") {
        Some("string" | "integer" | "boolean") => Ok(ParamHeader { path: path.to_vec(), header }),
        _ => Err(fail(path, "only strings, integers and booleans can have one")),
    }
}

fn fail(path: &[SmolStr], what: &'static str) -> AnnotationError {
    AnnotationError { at: path.iter().map(SmolStr::as_str).collect::<Vec<_>>().join("."), what }
}

/// A plain value as text ("Value Encoding", type conversion).
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a header says what a value says; integers are compared as numbers.
fn says(written: &str, expected: &Value) -> Result<bool, String> {
    let written = decode(written).ok_or_else(|| "a header has a broken Base64 value".to_owned())?;
    Ok(match expected {
        Value::Number(number) => {
            Number::new(&written).is_ok_and(|other| other.compare(number) == std::cmp::Ordering::Equal)
        }
        other => text_of(other).as_deref() == Some(&written),
    })
}

/// What `Mcp-Name` repeats: the name or the URI, whichever the method has ("Standard Request Headers").
pub fn name_of(request: &Request) -> Option<&str> {
    let member = match request.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return None,
    };
    request.param(member)?.as_str()
}

/// Whether `Mcp-Method` and `Mcp-Name` repeat the request ("Server Validation").
///
/// # Errors
/// When one is missing, stands twice or says something else; the text says which.
pub fn check_standard(headers: &HeaderMap, request: &Request) -> Result<(), String> {
    match single(headers, &METHOD)? {
        None => return Err("the Mcp-Method header is missing".to_owned()),
        Some(written) if written != request.method => {
            return Err(format!("the Mcp-Method header does not say `{}`, as the body does", request.method));
        }
        Some(_) => {}
    }
    let Some(expected) = name_of(request) else { return Ok(()) };
    let Some(written) = single(headers, &NAME)? else {
        return Err("the Mcp-Name header is missing".to_owned());
    };
    match decode(written) {
        None => Err("the Mcp-Name header has a broken Base64 value".to_owned()),
        Some(written) if written != expected => {
            Err("the Mcp-Name header does not say what the body says".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// The only value of a header as text.
///
/// # Errors
/// When it stands more than once or is not visible ASCII.
pub fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("the {name} header stands more than once"));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| format!("the {name} header has characters that a header cannot have"))
}

/// A text as the value of a header, wrapped where it has to be ("Value Encoding").
pub fn encode(text: &str) -> Option<HeaderValue> {
    let wrapped = text.starts_with(BASE64_PREFIX) && text.ends_with(BASE64_SUFFIX);
    let padded = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    let plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if plain && !padded && !wrapped {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::try_from(format!("{BASE64_PREFIX}{}{BASE64_SUFFIX}", STANDARD.encode(text))).ok()
}

/// The text that a header's value stands for; `None` when it is wrapped and broken.
pub fn decode(written: &str) -> Option<String> {
    match written.strip_prefix(BASE64_PREFIX).and_then(|inner| inner.strip_suffix(BASE64_SUFFIX)) {
        Some(inner) => String::from_utf8(STANDARD.decode(inner).ok()?).ok(),
        None => Some(written.to_owned()),
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
