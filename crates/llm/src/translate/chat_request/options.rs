//! Members of a chat request that are neither conversation nor tools.

use ringfence_json::{Number, Object, Value};

use crate::translate::fault::Fault;
use crate::translate::fields::is_one;
use crate::translate::node::{Node, Read};

/// How hard to think.
pub(super) struct Reasoning {
    pub(super) effort: Option<&'static str>,
    pub(super) thinking: Option<Object>,
}

/// OpenAI, "Reasoning models"; Anthropic, "Effort" and "Adaptive thinking".
pub(super) fn reasoning(request: &Node<'_>, forced: bool, dropped: &mut Vec<String>) -> Read<Reasoning> {
    let thinking = |kind: &str| Some(Object::new().with("type", kind));
    let Some(effort) = request.optional_text("reasoning_effort")? else {
        return Ok(Reasoning { effort: None, thinking: None });
    };
    let effort = match effort {
        "none" => return Ok(Reasoning { effort: None, thinking: thinking("disabled") }),
        "minimal" => {
            dropped.push(request.at.member("reasoning_effort").path());
            "low"
        }
        "low" => "low",
        "medium" => "medium",
        "high" => "high",
        "xhigh" => "xhigh",
        "max" => "max",
        _ => return Err(one_of(request, "reasoning_effort", "none, minimal, low, medium, high, xhigh, max")),
    };
    Ok(Reasoning { effort: Some(effort), thinking: if forced { None } else { thinking("adaptive") } })
}

/// OpenAI, "Structured outputs"; Anthropic, "Structured outputs" (`output_config.format`).
pub(super) fn format(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Option<Object>> {
    const NO_SCHEMA: &str = "this model's provider writes JSON only by a schema: send type `json_schema`";
    let Some(format) = request.optional_child("response_format")? else {
        return Ok(None);
    };
    match format.text("type")? {
        "text" => format.only(&["type"]).map(|()| None),
        "json_object" => Err(format.fault("type", NO_SCHEMA)),
        "json_schema" => {
            format.only(&["type", "json_schema"])?;
            schema(&format.child("json_schema")?, dropped).map(Some)
        }
        _ => Err(one_of(&format, "type", "text, json_schema")),
    }
}

/// The schema is always kept to at Anthropic, so `strict` has nothing to say; the description, which the model reads, goes
/// into the schema.
fn schema(named: &Node<'_>, dropped: &mut Vec<String>) -> Read<Object> {
    named.only(&["name", "description", "schema", "strict"])?;
    named.flag("strict")?;
    named.text("name")?;
    let mut schema = named.child("schema")?.object.clone();
    if let Some(description) = named.optional_text("description")? {
        if schema.contains("description") {
            dropped.push(named.at.member("description").path());
        } else {
            schema.insert("description", description);
        }
    }
    Ok(Object::new().with("type", "json_schema").with("schema", schema))
}

/// `stop`, one text or up to four.
pub(super) fn stop(request: &Node<'_>) -> Read<Option<Vec<Value>>> {
    let Some(stop) = request.get("stop") else {
        return Ok(None);
    };
    let at = request.at.member("stop");
    let read = |text: &str, at: &crate::translate::node::At| {
        if text.trim().is_empty() {
            return Err(at.fault("this model's provider takes no stop sequence of white space only"));
        }
        Ok(Value::from(text))
    };
    let all = match stop {
        Value::String(text) => vec![read(text, &at)?],
        Value::Array(texts) => {
            let one = |(index, value): (usize, &Value)| {
                let at = at.item(index);
                read(at.text(value)?, &at)
            };
            texts.iter().enumerate().map(one).collect::<Read<_>>()?
        }
        _ => return Err(at.fault("must be a string or an array of strings")),
    };
    Ok((!all.is_empty()).then_some(all))
}

/// As written up to Anthropic's highest, and left out at the default of both.
pub(super) fn temperature(request: &Node<'_>) -> Read<Option<Number>> {
    const TOO_HOT: &str =
        "this model's provider takes 0 to 1, and no value there means what a higher one means here";
    let temperature = share(request, "temperature", TOO_HOT)?;
    Ok(temperature)
}

/// As written, and left out at the default of both.
pub(super) fn top_p(request: &Node<'_>) -> Read<Option<Number>> {
    share(request, "top_p", "must be between 0 and 1")
}

fn share(request: &Node<'_>, name: &str, above: &'static str) -> Read<Option<Number>> {
    let Some(number) = request.number(name)? else {
        return Ok(None);
    };
    if number.compare(&0_u64.into()).is_lt() {
        return Err(request.fault(name, "must not be negative"));
    }
    if number.compare(&1_u64.into()).is_gt() {
        return Err(request.fault(name, above));
    }
    Ok((!is_one(&number.clone().into())).then(|| number.clone()))
}

/// Who the user is: `safety_identifier`, or `user`, which it replaces.
pub(super) fn metadata(request: &Node<'_>) -> Read<Option<Object>> {
    let user = request.optional_text("user")?;
    let user = request.optional_text("safety_identifier")?.or(user);
    Ok(user.map(|user| Object::new().with("user_id", user)))
}

/// Anthropic, "Service tiers": both have `auto` as their default.
pub(super) fn service_tier(request: &Node<'_>) -> Read<Option<&'static str>> {
    match request.optional_text("service_tier")? {
        None | Some("auto") => Ok(None),
        Some("default") => Ok(Some("standard_only")),
        Some(_) => Err(request.fault("service_tier", "this model's provider has `auto` and `default` only")),
    }
}

/// A word outside its list.
pub(super) fn one_of(node: &Node<'_>, name: &str, words: &str) -> Fault {
    node.fault(name, format!("must be one of: {words}"))
}
