//! What an agent gets to see of an upstream's answer: within its bounds, without what is to be redacted, and only if
//! it is what the tool promised.

use ringfence_json::{Limits, Object, Value};
use ringfence_policy::{Obligations, ToolDefinition};
use smol_str::SmolStr;

use super::wire::write_object;

/// Why a result is withheld.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Withheld {
    /// Over the bound of a rule.
    #[error("the result has {bytes} bytes; at most {bytes_max} are allowed")]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// Not what the tool's output schema promises.
    #[error("the result does not fit the tool's output schema: {0}")]
    Invalid(String),
}

/// The longest message of an upstream's JSON-RPC error that an agent is given, in characters.
const ERROR_CHARACTERS_MAX: usize = 4_096;

/// The largest `data` of such an error that an agent is given, in bytes.
const ERROR_DATA_BYTES_MAX: usize = 64 << 10;

/// What stands in the place of what was redacted.
const REDACTED: &str = "[redacted]";

/// The shortest text that is looked for elsewhere once it was redacted, in bytes: shorter ones stand everywhere.
const TRACE_BYTES_MIN: usize = 6;

/// Checks and redacts a result. Gives it back as it goes to the agent.
pub(crate) fn judge(
    mut result: Object,
    obligations: &Obligations,
    definition: Option<&ToolDefinition>,
) -> Result<Object, Withheld> {
    if let Some(bytes_max) = obligations.max_result_bytes {
        let bytes = size(&result);
        if bytes > bytes_max {
            return Err(Withheld::TooLarge { bytes, bytes_max });
        }
    }
    if let Some(definition) = definition {
        check_output(&result, definition)?;
    }
    if !obligations.redact.is_empty() {
        redact(&mut result, &obligations.redact);
    }
    Ok(result)
}

/// Bounds and redacts an upstream's JSON-RPC error. Gives it back as it goes to the agent.
pub(crate) fn judge_error(mut error: Object, obligations: &Obligations) -> Result<Object, Withheld> {
    if let Some(bytes_max) = obligations.max_result_bytes {
        let bytes = size(&error);
        if bytes > bytes_max {
            return Err(Withheld::TooLarge { bytes, bytes_max });
        }
    }
    if error.get("data").is_some_and(|data| data.to_string().len() > ERROR_DATA_BYTES_MAX) {
        error.remove("data");
    }
    let redacts = !obligations.redact.is_empty();
    if let Some(message) = error.get_mut("message") {
        // Where something is to be redacted, nobody knows what of it a sentence of the server's repeats.
        let said = message.as_str().filter(|_| !redacts).unwrap_or(REDACTED);
        *message = said.chars().take(ERROR_CHARACTERS_MAX).collect::<String>().into();
    }
    let Some(data) = error.get_mut("data").filter(|_| redacts) else { return Ok(error) };
    let mut traces = Vec::new();
    for pointer in &obligations.redact {
        take_out(data, pointer, &mut traces);
    }
    take_out_texts(data, &obligations.redact, &mut traces);
    blot_out(data, &traces);
    Ok(error)
}

/// Takes the same out of every text below `value` that is JSON itself.
fn take_out_texts(value: &mut Value, pointers: &[String], traces: &mut Vec<SmolStr>) {
    for_every_text(value, &mut |text| {
        let Ok(mut inner) = ringfence_json::parse(text.as_bytes(), &Limits::default()) else { return };
        if inner.as_object().is_none() && inner.as_array().is_none() {
            return;
        }
        for pointer in pointers {
            take_out(&mut inner, pointer, traces);
        }
        *text = inner.to_string().into();
    });
}

/// Takes what was taken out elsewhere out of every text below `value`.
fn blot_out(value: &mut Value, traces: &[SmolStr]) {
    for_every_text(value, &mut |text| {
        for trace in traces.iter().filter(|trace| trace.len() >= TRACE_BYTES_MIN) {
            if text.contains(trace.as_str()) {
                *text = text.replace(trace.as_str(), REDACTED).into();
            }
        }
    });
}

fn for_every_text(value: &mut Value, visit: &mut impl FnMut(&mut SmolStr)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(elements) => elements.iter_mut().for_each(|element| for_every_text(element, visit)),
        Value::Object(object) => {
            let names: Vec<SmolStr> = object.iter().map(|(name, _)| name.clone()).collect();
            for name in names {
                if let Some(member) = object.get_mut(&name) {
                    for_every_text(member, visit);
                }
            }
        }
        _ => {}
    }
}

fn size(result: &Object) -> u64 {
    let mut bytes = Vec::new();
    write_object(result, &mut bytes);
    bytes.len() as u64
}

/// A tool with an output schema gives structured content that fits it, unless it failed or asks for more input
/// (MCP 2026-07-28, "Output Schema").
fn check_output(result: &Object, definition: &ToolDefinition) -> Result<(), Withheld> {
    let Some(schema) = &definition.output else { return Ok(()) };
    let failed = result.get("isError").and_then(Value::as_bool) == Some(true);
    let complete = result.text("resultType").is_none_or(|kind| kind == "complete");
    if failed || !complete {
        return Ok(());
    }
    let Some(structured) = result.get("structuredContent") else {
        return Err(Withheld::Invalid("`structuredContent` is missing".to_owned()));
    };
    schema.validate_value(structured).map_err(|violation| Withheld::Invalid(violation.message))
}

/// Takes out what the pointers name: in the result itself, in its structured content, and in every text that is JSON.
/// Texts that were taken out are taken out of the other texts as well, where servers repeat them.
fn redact(result: &mut Object, pointers: &[String]) {
    let mut traces = Vec::new();
    let mut whole = Value::from(std::mem::take(result));
    for pointer in pointers {
        take_out(&mut whole, pointer, &mut traces);
        if let Some(structured) = whole.pointer_mut("/structuredContent") {
            take_out(structured, pointer, &mut traces);
        }
    }
    for_each_text(&mut whole, &mut |text| {
        let Ok(mut inner) = ringfence_json::parse(text.as_bytes(), &Limits::default()) else { return };
        if inner.as_object().is_none() && inner.as_array().is_none() {
            return;
        }
        let before = traces.len();
        for pointer in pointers {
            take_out(&mut inner, pointer, &mut traces);
        }
        if traces.len() > before {
            *text = inner.to_string().into();
        }
    });
    traces.sort_unstable_by_key(|trace| std::cmp::Reverse(trace.len()));
    for_each_text(&mut whole, &mut |text| {
        for trace in
            traces.iter().filter(|trace| trace.len() >= TRACE_BYTES_MIN && trace.as_str() != REDACTED)
        {
            if text.contains(trace.as_str()) {
                *text = text.replace(trace.as_str(), REDACTED).into();
            }
        }
    });
    *result = whole.into_object().unwrap_or_default();
}

/// Replaces what a pointer names; keeps the texts that were there.
fn take_out(value: &mut Value, pointer: &str, traces: &mut Vec<SmolStr>) {
    let Some(found) = value.pointer_mut(pointer) else { return };
    let taken = std::mem::replace(found, Value::from(REDACTED));
    collect_texts(&taken, traces);
}

fn collect_texts(value: &Value, traces: &mut Vec<SmolStr>) {
    match value {
        Value::String(text) => traces.push(text.clone()),
        Value::Number(number) => traces.push(number.as_str().into()),
        Value::Array(elements) => elements.iter().for_each(|element| collect_texts(element, traces)),
        Value::Object(object) => object.iter().for_each(|(_, member)| collect_texts(member, traces)),
        Value::Null | Value::Bool(_) => traces.push(SmolStr::default()),
    }
}

/// The texts of content blocks, prompts' messages and resources.
fn for_each_text(result: &mut Value, visit: &mut impl FnMut(&mut SmolStr)) {
    let Some(result) = result.as_object_mut() else { return };
    for list in ["content", "contents", "messages"] {
        let Some(Value::Array(blocks)) = result.get_mut(list) else { continue };
        for block in blocks {
            for place in ["/text", "/resource/text", "/content/text", "/content/resource/text"] {
                if let Some(Value::String(text)) = block.pointer_mut(place) {
                    visit(text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        ringfence_json::parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
    }

    fn redacted(result: &str, pointers: &[&str]) -> String {
        let redact = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        let obligations = Obligations { redact, ..Obligations::default() };
        Value::from(judge(object(result), &obligations, None).unwrap()).to_string()
    }

    #[test]
    fn what_is_redacted_is_gone_from_every_place_a_server_repeats_it() {
        let result = r#"{"content":[{"type":"text","text":"{\"user\":{\"ssn\":\"123-45-6789\"}}"},
            {"type":"text","text":"The number is 123-45-6789."},{"type":"resource","resource":{"text":"123-45-6789"}}],
            "structuredContent":{"user":{"ssn":"123-45-6789","name":"Ann"}}}"#;
        let shown = redacted(result, &["/user/ssn"]);
        assert!(!shown.contains("6789") && shown.contains("Ann"), "{shown}");
        assert_eq!(shown.matches(REDACTED).count(), 4);
    }

    #[test]
    fn what_a_pointer_does_not_name_stays_as_it_is() {
        let result = r#"{"content":[{"type":"text","text":"{ \"a\": 1 }"}]}"#;
        assert_eq!(
            redacted(result, &["/b", "nonsense"]),
            r#"{"content":[{"type":"text","text":"{ \"a\": 1 }"}]}"#
        );
        let short = r#"{"content":[{"type":"text","text":"no"}],"structuredContent":{"x":"no"}}"#;
        assert!(redacted(short, &["/x"]).contains(r#""text":"no""#));
    }

    #[test]
    fn an_error_is_bounded_and_redacted_like_a_result() {
        let error = || {
            object(
                r#"{"code":-1,"message":"ssn 123-45-6789","data":{"ssn":"123-45-6789","said":"{\"ssn\":\"123-45-6789\"}","log":["x 123-45-6789"],"kept":"Ann"}}"#,
            )
        };
        let redact = Obligations { redact: vec!["/ssn".to_owned()], ..Obligations::default() };
        let shown = Value::from(judge_error(error(), &redact).unwrap()).to_string();
        assert!(!shown.contains("6789") && shown.contains("Ann") && shown.contains("-1"), "{shown}");
        let small = Obligations { max_result_bytes: Some(20), ..Obligations::default() };
        assert!(matches!(judge_error(error(), &small), Err(Withheld::TooLarge { .. })));
        assert_eq!(judge_error(error(), &Obligations::default()), Ok(error()));
        let large = error().with("message", "m".repeat(10_000)).with("data", "d".repeat(100_000));
        let cut = judge_error(large, &Obligations::default()).unwrap();
        assert_eq!((cut.text("message").unwrap().len(), cut.get("data")), (ERROR_CHARACTERS_MAX, None));
    }

    #[test]
    fn a_result_over_its_bound_is_withheld() {
        let result = object(r#"{"content":[]}"#);
        let limited = |bytes| Obligations { max_result_bytes: Some(bytes), ..Obligations::default() };
        assert_eq!(judge(result.clone(), &limited(14), None), Ok(result.clone()));
        assert_eq!(judge(result, &limited(13), None), Err(Withheld::TooLarge { bytes: 14, bytes_max: 13 }));
    }

    #[test]
    fn a_result_that_breaks_the_tools_promise_is_withheld() {
        let tool = r#"{"name":"t","inputSchema":{"type":"object"},
            "outputSchema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}"#;
        let definition = ToolDefinition::parse(&object(tool).into()).unwrap();
        let check = |result: &str| judge(object(result), &Obligations::default(), Some(&definition)).is_ok();
        assert!(check(r#"{"content":[],"structuredContent":{"n":1}}"#));
        assert!(check(r#"{"content":[],"isError":true}"#));
        assert!(check(r#"{"resultType":"input_required","requestState":"x"}"#));
        assert!(!check(r#"{"content":[],"structuredContent":{"n":"1"}}"#));
        assert!(!check(r#"{"content":[]}"#));
    }
}
