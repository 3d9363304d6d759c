use proptest::prelude::*;
use ringfence_json::{Object, Value};

use super::conversations::{any_chat_request, any_messages_answer, any_object, any_value};
use super::essence::{check_chat, check_messages, of_chat};
use super::{canonical, events, object};
use crate::translate::{
    ChatStream, MessagesStream, chat_to_messages, chat_to_messages_answer, error_to_chat, error_to_messages,
    messages_to_chat, messages_to_chat_answer,
};

/// Replaces what the choices lead to by `other`.
fn damaged(value: &Value, choices: &[prop::sample::Index], other: &Value) -> Value {
    let Some((choice, rest)) = choices.split_first() else {
        return other.clone();
    };
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            let at = choice.index(elements.len());
            let damage = |(index, element): (usize, &Value)| {
                if index == at { damaged(element, rest, other) } else { element.clone() }
            };
            Value::Array(elements.iter().enumerate().map(damage).collect())
        }
        Value::Object(members) if !members.is_empty() => {
            let at = choice.index(members.len());
            let damage = |(index, (name, member)): (usize, (&smol_str::SmolStr, &Value))| {
                (name.clone(), if index == at { damaged(member, rest, other) } else { member.clone() })
            };
            members.iter().enumerate().map(damage).collect::<Object>().into()
        }
        _ => other.clone(),
    }
}

fn damage() -> impl Strategy<Value = (Vec<prop::sample::Index>, Value)> {
    (prop::collection::vec(any::<prop::sample::Index>(), 1..6), any_value())
}

/// The events Anthropic would have sent an answer in, texts cut into pieces of a few characters.
fn streamed(answer: &Object, piece: usize) -> Vec<Object> {
    let typed = |kind: &str| Object::new().with("type", kind);
    let usage = answer.get("usage").unwrap().clone();
    let empty = answer.clone().with("content", Vec::<Value>::new()).with("stop_reason", Value::Null);
    let mut events = vec![typed("message_start").with("message", empty)];
    for (index, block) in answer.get("content").unwrap().as_array().unwrap().iter().enumerate() {
        let index = index as u64;
        let block = block.as_object().unwrap();
        let (start, pieces) = match block.text("type").unwrap() {
            "text" => (
                block.clone().with("text", ""),
                Some(("text_delta", "text", block.text("text").unwrap().to_owned())),
            ),
            "thinking" => {
                let thoughts = block.text("thinking").unwrap().to_owned();
                (block.clone().with("thinking", ""), Some(("thinking_delta", "thinking", thoughts)))
            }
            "tool_use" => {
                let input = block.get("input").unwrap().to_string();
                let input = if input == "{}" { String::new() } else { input };
                (
                    block.clone().with("input", Object::new()),
                    Some(("input_json_delta", "partial_json", input)),
                )
            }
            _ => (block.clone(), None),
        };
        events.push(typed("content_block_start").with("index", index).with("content_block", start));
        if let Some((kind, member, text)) = pieces {
            let letters: Vec<char> = text.chars().collect();
            for letters in letters.chunks(piece) {
                let delta = typed(kind).with(member, String::from_iter(letters));
                events.push(typed("content_block_delta").with("index", index).with("delta", delta));
            }
        }
        events.push(typed("content_block_stop").with("index", index));
    }
    let delta = Object::new().with("stop_reason", answer.get("stop_reason").unwrap().clone());
    events.push(typed("message_delta").with("delta", delta).with("usage", usage));
    events.push(typed("message_stop"));
    events
}

/// Puts chunks together as OpenAI's SDKs do.
fn whole_of_chunks(chunks: &[(String, String)]) -> Object {
    let (mut content, mut thoughts) = (String::new(), String::new());
    let mut calls: Vec<(String, String, String)> = Vec::new();
    let mut finish = Value::Null;
    let mut whole = Object::new();
    for (_, data) in chunks.iter().filter(|(_, data)| data != "[DONE]") {
        let chunk = object(data);
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            whole.insert("usage", usage.clone());
        }
        let Some(choice) = chunk.get("choices").unwrap().as_array().unwrap().first() else { continue };
        let delta = choice.get("delta").unwrap().as_object().unwrap();
        content.push_str(delta.text("content").unwrap_or_default());
        thoughts.push_str(delta.text("reasoning_content").unwrap_or_default());
        for call in delta.get("tool_calls").and_then(Value::as_array).unwrap_or_default() {
            let index = usize::try_from(call.get("index").unwrap().as_u64().unwrap()).unwrap();
            let function = call.get("function").unwrap();
            let text =
                |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            if index == calls.len() {
                calls.push((text(call, "id"), text(function, "name"), String::new()));
            }
            calls[index].2 += &text(function, "arguments");
        }
        if !choice.get("finish_reason").unwrap().is_null() {
            finish = choice.get("finish_reason").unwrap().clone();
        }
    }
    let call = |(id, name, arguments): (String, String, String)| {
        let function = Object::new().with("name", name).with("arguments", arguments);
        Object::new().with("id", id).with("type", "function").with("function", function)
    };
    let calls: Vec<Object> = calls.into_iter().map(call).collect();
    let message = Object::new()
        .with("role", "assistant")
        .with("content", if content.is_empty() { Value::Null } else { content.into() })
        .with("refusal", Value::Null)
        .with_some("reasoning_content", (!thoughts.is_empty()).then_some(thoughts))
        .with_some("tool_calls", (!calls.is_empty()).then_some(calls));
    let choice = Object::new()
        .with("index", 0_u64)
        .with("message", message)
        .with("logprobs", Value::Null)
        .with("finish_reason", finish);
    whole
        .with("id", "msg_1")
        .with("object", "chat.completion")
        .with("created", 7_u64)
        .with("model", "gpt")
        .with("choices", vec![choice])
}

/// Puts events together as Anthropic's SDKs do.
fn whole_of_events(events: &[(String, String)]) -> Object {
    let mut whole = Object::new();
    let mut content: Vec<Object> = Vec::new();
    let mut input = String::new();
    for (name, data) in events {
        let event = object(data);
        match name.as_str() {
            "message_start" => whole = event.get("message").unwrap().as_object().unwrap().clone(),
            "content_block_start" => {
                assert_eq!(event.get("index").unwrap().as_u64(), Some(content.len() as u64));
                content.push(event.get("content_block").unwrap().as_object().unwrap().clone());
                input.clear();
            }
            "content_block_delta" => {
                let delta = event.get("delta").unwrap().as_object().unwrap();
                let block = content.last_mut().unwrap();
                if let Some(text) = delta.text("text") {
                    let text = format!("{}{text}", block.text("text").unwrap());
                    block.insert("text", text);
                }
                input += delta.text("partial_json").unwrap_or_default();
            }
            "content_block_stop" if !input.is_empty() => {
                content.last_mut().unwrap().insert("input", object(&input));
            }
            "message_delta" => {
                whole.insert("stop_reason", event.get("delta").unwrap().get("stop_reason").unwrap().clone());
                whole.insert("usage", event.get("usage").unwrap().clone());
            }
            _ => {}
        }
    }
    whole.with("content", content)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_conversation_comes_back_from_messages_saying_the_same(request in any_chat_request()) {
        let there = chat_to_messages(&request).unwrap().body;
        check_messages(&there);
        let back = messages_to_chat(&there).unwrap();
        check_chat(&back.body);
        prop_assert_eq!(of_chat(&back.body), of_chat(&request));
        prop_assert!(back.dropped.is_empty());
        // What has been there once goes there again as it is.
        prop_assert_eq!(canonical(&chat_to_messages(&back.body).unwrap().body), canonical(&there));
    }

    #[test]
    fn a_damaged_request_is_refused_or_comes_to_one_that_holds(
        request in any_chat_request(),
        (choices, other) in damage(),
    ) {
        let there = chat_to_messages(&request).unwrap().body;
        let request = damaged(&request.into(), &choices, &other).into_object().unwrap_or_default();
        if let Ok(translated) = chat_to_messages(&request) {
            check_messages(&translated.body);
        }
        let there = damaged(&there.into(), &choices, &other).into_object().unwrap_or_default();
        if let Ok(translated) = messages_to_chat(&there) {
            check_chat(&translated.body);
        }
    }

    #[test]
    fn a_damaged_answer_is_malformed_or_translated(
        answer in any_messages_answer(),
        (choices, other) in damage(),
    ) {
        let there = messages_to_chat_answer(&answer, 7, "gpt").unwrap();
        let damage = |answer: &Object| damaged(&answer.clone().into(), &choices, &other).into_object().unwrap_or_default();
        let _ = messages_to_chat_answer(&damage(&answer), 7, "gpt");
        let _ = chat_to_messages_answer(&damage(&there), "claude");
    }

    #[test]
    fn any_object_is_an_error_of_some_kind(body in any_object(), error in any_object(), status: u16) {
        for body in [body.clone(), body.with("error", error)] {
            let (_, chat) = error_to_chat(status, &body);
            prop_assert!(chat.get("error").unwrap().get("message").unwrap().as_str().is_some());
            let (_, messages) = error_to_messages(status, &body);
            prop_assert!(messages.get("error").unwrap().get("message").unwrap().as_str().is_some());
        }
    }

    #[test]
    fn a_stream_says_what_the_whole_answer_says(answer in any_messages_answer(), piece in 1_usize..5) {
        let mut stream = ChatStream::new(7, "gpt", true);
        let mut chunks = Vec::new();
        for event in streamed(&answer, piece) {
            stream.event(event.text("type").unwrap(), &event.to_canonical(), &mut chunks).unwrap();
        }
        stream.end().unwrap();
        let chunks = events(&chunks);
        let chat = messages_to_chat_answer(&answer, 7, "gpt").unwrap();
        prop_assert_eq!(canonical(&whole_of_chunks(&chunks)), canonical(&chat));

        let mut stream = MessagesStream::new("claude");
        let mut back = Vec::new();
        for (_, chunk) in &chunks {
            stream.chunk(chunk.as_bytes(), &mut back).unwrap();
        }
        let back = whole_of_events(&events(&back));
        let text = |answer: &Object| -> (String, Vec<Value>) {
            let blocks = answer.get("content").unwrap().as_array().unwrap();
            let text = blocks.iter().filter_map(|block| block.get("text").and_then(Value::as_str)).collect();
            (text, blocks.iter().filter(|block| block.get("input").is_some()).cloned().collect())
        };
        let expected = chat_to_messages_answer(&chat, "claude").unwrap();
        let shape = |answer: &Object| {
            let (text, calls) = text(answer);
            let calls: Vec<String> = calls.iter().map(|call| canonical(call.as_object().unwrap())).collect();
            (text, calls, canonical(&answer.clone().with("content", Value::Null)))
        };
        prop_assert_eq!(shape(&back), shape(&expected));
    }
}
