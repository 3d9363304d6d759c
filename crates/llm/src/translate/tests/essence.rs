//! What a request says in order, whatever API it is written for; and whether it is one the API takes.

use ringfence_json::{Object, Value};

use super::object;
use crate::Family;
use crate::translate::names::tool_id;
use crate::translate::node::At;

fn member<'a>(object: &'a Object, name: &str) -> &'a str {
    object.text(name).unwrap_or_else(|| panic!("no text `{name}`"))
}

fn objects(value: Option<&Value>) -> Vec<&Object> {
    let elements = value.and_then(Value::as_array).unwrap_or_default();
    elements.iter().map(|element| element.as_object().unwrap()).collect()
}

/// The texts and images of a content. Text of white space only is nothing to Anthropic.
fn said(content: Option<&Value>) -> Vec<String> {
    let text = |text: &str| (!text.trim().is_empty()).then(|| text.to_owned());
    match content {
        Some(Value::String(said)) => text(said).into_iter().collect(),
        content => objects(content)
            .into_iter()
            .filter_map(|part| match member(part, "type") {
                "text" => text(member(part, "text")),
                "image_url" => {
                    Some(member(part.get("image_url").unwrap().as_object().unwrap(), "url").to_owned())
                }
                other => panic!("{other}"),
            })
            .collect(),
    }
}

/// What a chat request says: system first, as Anthropic has it; ids as both sides take them; arguments without spaces.
pub(super) fn of_chat(request: &Object) -> Vec<String> {
    let (mut system, mut rest) = (Vec::new(), Vec::new());
    for message in objects(request.get("messages")) {
        let role = member(message, "role");
        let said = said(message.get("content"));
        match role {
            "system" => system.extend(said.into_iter().map(|text| format!("system: {text}"))),
            "tool" => rest.push(format!("result of {}: {said:?}", id(member(message, "tool_call_id")))),
            role => rest.extend(said.into_iter().map(|text| format!("{role}: {text}"))),
        }
        for call in objects(message.get("tool_calls")) {
            let function = call.get("function").unwrap().as_object().unwrap();
            let arguments = Value::from(object(member(function, "arguments")));
            rest.push(format!("call {}: {} {arguments}", id(member(call, "id")), member(function, "name")));
        }
    }
    system.into_iter().chain(rest).collect()
}

fn id(id: &str) -> String {
    tool_id(id, &At::root(Family::OpenAi)).unwrap().to_string()
}

/// Panics unless the request is one Anthropic takes: roles alternate, the user has the first and the last word, no content is
/// empty, each id stands once, each call is answered at the start of the next message and nothing else is.
pub(super) fn check_messages(request: &Object) {
    let messages = objects(request.get("messages"));
    let role = |message: &&Object| member(message, "role").to_owned();
    assert_eq!(messages.first().map(role).as_deref(), Some("user"));
    assert_eq!(messages.last().map(role).as_deref(), Some("user"));
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        assert_eq!(role(message), ["user", "assistant"][number % 2], "message {number}");
        let blocks = objects(message.get("content"));
        assert!(!blocks.is_empty(), "message {number} is empty");
        let mut others = 0;
        for block in blocks {
            match (member(block, "type"), number % 2) {
                ("text", _) => {
                    assert!(!member(block, "text").trim().is_empty());
                    others += 1;
                }
                ("image", 0) => others += 1,
                ("tool_result", 0) => {
                    assert_eq!(others, 0, "a result after something else");
                    let id = member(block, "tool_use_id");
                    let place = open.iter().position(|open| open == id).expect("a result of nothing");
                    open.remove(place);
                }
                ("tool_use", 1) => {
                    let id = member(block, "id").to_owned();
                    assert!(
                        id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                        "{id}"
                    );
                    assert!(block.get("input").unwrap().as_object().is_some());
                    assert!(!seen.contains(&id), "{id} stands twice");
                    seen.push(id.clone());
                    open.push(id);
                }
                (other, _) => panic!("{other} in message {number}"),
            }
        }
        assert!(number % 2 == 1 || open.is_empty(), "calls are left open: {open:?}");
    }
}

/// Panics unless the request is one OpenAI takes: each call is answered by the tool messages directly after it, and nothing
/// else is; ids and names are of the length it takes.
pub(super) fn check_chat(request: &Object) {
    let mut open: Vec<String> = Vec::new();
    for message in objects(request.get("messages")) {
        let role = member(message, "role");
        if role == "tool" {
            let id = member(message, "tool_call_id");
            let place = open.iter().position(|open| open == id).expect("a result of nothing");
            open.remove(place);
            continue;
        }
        assert!(open.is_empty(), "calls are left open: {open:?}");
        let calls = objects(message.get("tool_calls"));
        assert!(role == "assistant" || calls.is_empty());
        let silent = message.get("content").is_none_or(Value::is_null);
        assert!(!silent || !calls.is_empty(), "a message says nothing");
        for call in calls {
            assert!(member(call, "id").len() <= 40);
            open.push(member(call, "id").to_owned());
        }
    }
    assert!(open.is_empty(), "calls are left open: {open:?}");
}
