//! What is written is read back by those who read the providers.

use bytes::Bytes;
use proptest::prelude::*;
use ringfence_json::{Limits, parse};

use super::*;
use crate::answer::{self, Counted, Meter};
use crate::events::Reader;

const GENERATING: [Api; 3] = [Api::Chat, Api::Responses, Api::Messages];

fn said(parts: Vec<Part>, stop: Stop) -> Said {
    let usage =
        Usage { input: 40, cached_input: 30, cache_write: 20, cache_write_1h: 10, output: 70, reasoning: 5 };
    Said {
        id: "a1b2".into(),
        created: 1_760_000_000,
        model: "scripted-1".into(),
        parts,
        stop,
        usage,
        answers: 1,
    }
}

fn object(text: &str) -> Object {
    parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
}

fn all_parts() -> Vec<Part> {
    vec![
        Part::Think("Hm, let me see.".into()),
        Part::Text("Grüße aus Köln\nund \"mehr\".".into()),
        Part::Call { tool: "look_up".into(), arguments: object(r#"{"city": "Köln", "days": [1, 2.50]}"#) },
        Part::Call { tool: "now".into(), arguments: Object::new() },
    ]
}

/// What a meter reads in a stream, and the data of its events.
fn metered(api: Api, stream: &[Bytes]) -> (Counted, Vec<Object>) {
    let (mut meter, mut reader) = (Meter::new(api, Tokenizer::O200k, false), Reader::new(1 << 20));
    let mut all = Vec::new();
    for piece in stream {
        assert!(!piece.is_empty());
        reader.push(piece.clone());
        while let Some(event) = reader.next_event().unwrap() {
            meter.event(&event).unwrap();
            if event.data != "[DONE]" {
                let data = object(std::str::from_utf8(&event.data).unwrap());
                assert_eq!(event.name.as_deref(), data.text("type"), "an event is called what it is");
                all.push(data);
            }
        }
        assert!(reader.is_between_events(), "a piece is whole events");
    }
    (meter.counted(), all)
}

/// The texts under a member of the deltas of a stream, joined.
fn joined(events: &[Object], pointer: &str) -> String {
    let of = |event: &Object| Some(Value::Object(event.clone()).pointer(pointer)?.as_str()?.to_owned());
    events.iter().filter_map(of).collect()
}

#[test]
fn what_is_said_to_be_used_is_read_back_exactly() {
    for api in GENERATING {
        for (stop, words) in [
            (Stop::End, ["stop", "completed", "end_turn"]),
            (Stop::Length, ["length", "max_output_tokens", "max_tokens"]),
            (Stop::Tools, ["tool_calls", "completed", "tool_use"]),
            (Stop::Filter, ["content_filter", "content_filter", "refusal"]),
        ] {
            let said = said(all_parts(), stop);
            let word = words[GENERATING.iter().position(|known| *known == api).unwrap()];
            let whole = answer::whole(api, &said.whole(api).into());
            assert_eq!(whole.usage, Some(said.usage), "{api:?}");
            assert_eq!((whole.doubtful, whole.finish.as_deref(), &whole.failed), (false, Some(word), &None));
            for chunks in [None, Some(1), Some(4)] {
                let (counted, _) = metered(api, &said.stream(api, chunks, true));
                assert_eq!(counted.reported, Some(said.usage), "{api:?}");
                assert_eq!((counted.is_exact(), counted.finished, counted.repeated), (true, true, false));
                assert_eq!((counted.finish.as_deref(), &counted.failed), (Some(word), &None));
            }
        }
    }
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let said = said(all_parts(), Stop::Tools);
    let arguments = r#"{"city":"Köln","days":[1,2.50]}{}"#;
    for (api, text, thoughts, calls) in [
        (
            Api::Chat,
            "/choices/0/delta/content",
            None::<&str>,
            "/choices/0/delta/tool_calls/0/function/arguments",
        ),
        (Api::Messages, "/delta/text", Some("/delta/thinking"), "/delta/partial_json"),
    ] {
        for chunks in [None, Some(3)] {
            let (_, events) = metered(api, &said.stream(api, chunks, true));
            assert_eq!(joined(&events, text), "Grüße aus Köln\nund \"mehr\".");
            let thought = thoughts.map(|thoughts| joined(&events, thoughts));
            assert!(thought.is_none_or(|thought| thought == "Hm, let me see."));
            assert_eq!(joined(&events, calls), arguments, "{api:?}");
        }
    }
    let (_, events) = metered(Api::Responses, &said.stream(Api::Responses, None, true));
    let (last, before) = events.split_last().unwrap();
    assert_eq!(last.get("response"), Some(&said.whole(Api::Responses).into()));
    let numbers: Vec<_> = events.iter().map(|event| event.get("sequence_number").unwrap().as_u64()).collect();
    assert_eq!(numbers, (0..).map(Some).take(numbers.len()).collect::<Vec<_>>());
    let items: Vec<_> =
        before.iter().filter(|event| event.text("type") == Some("response.output_item.done")).collect();
    let items: Vec<_> = items.into_iter().map(|event| event.get("item").unwrap().clone()).collect();
    assert_eq!(last.get("response").unwrap().get("output"), Some(&Value::Array(items)));
}

#[test]
fn several_answers_are_given_each_with_its_own_chunks() {
    let mut said = said(vec![Part::Text("Yes.".into())], Stop::End);
    said.answers = 3;
    said.count(Api::Chat, Tokenizer::O200k);
    let whole = said.whole(Api::Chat);
    assert_eq!(whole.get("choices").unwrap().as_array().unwrap().len(), 3);
    assert_eq!(said.usage.output, 3 * Tokenizer::O200k.count("Yes."));
    let (counted, events) = metered(Api::Chat, &said.stream(Api::Chat, None, true));
    assert_eq!(counted.output_tokens_counted, said.usage.output);
    let of_last = events.iter().filter(|event| {
        Value::Object((*event).clone()).pointer("/choices/0/index").and_then(Value::as_u64) == Some(2)
    });
    assert_eq!(of_last.count(), 3);
}

#[test]
fn chat_completions_do_not_show_what_is_thought_but_count_it() {
    let mut said = said(all_parts(), Stop::Tools);
    said.count(Api::Chat, Tokenizer::O200k);
    assert_eq!(said.usage.reasoning, Tokenizer::O200k.count("Hm, let me see."));
    let shown = String::from_utf8(Value::Object(said.whole(Api::Chat)).to_bytes()).unwrap();
    let streamed = said.stream(Api::Chat, Some(1), true).concat();
    assert!(!shown.contains("Hm") && !String::from_utf8(streamed).unwrap().contains("Hm"));
    let of_chat = said.usage;
    said.count(Api::Responses, Tokenizer::O200k);
    assert_eq!(said.usage, of_chat, "whether it is shown or not");
}

#[test]
fn chat_completions_tell_what_was_used_only_where_it_is_asked() {
    let said = said(all_parts(), Stop::End);
    let (counted, events) = metered(Api::Chat, &said.stream(Api::Chat, None, false));
    assert_eq!(counted.reported, None);
    assert!(counted.finished && events.iter().all(|event| !event.contains("usage")));
}

#[test]
fn a_limit_cuts_what_is_said() {
    let tokenizer = Tokenizer::Bytes;
    let count = tokenizer.count("one two three");
    let mut said = said(
        vec![Part::Text("one two three".into()), Part::Call { tool: "t".into(), arguments: Object::new() }],
        Stop::Tools,
    );
    let whole = said.clone();
    said.limit(1_000, tokenizer);
    assert_eq!(said, whole, "what fits stays");
    said.limit(count, tokenizer);
    assert_eq!((said.parts.len(), said.stop), (1, Stop::Length), "a tool is not called in halves");
    said.limit(count - 1, tokenizer);
    assert!(said.texts().len() < 13 && "one two three".starts_with(&said.texts()));
    said.count(Api::Messages, tokenizer);
    assert!(said.usage.output_total() < count);
    said.limit(0, tokenizer);
    assert!(said.parts.is_empty());
    let (counted, _) = metered(Api::Messages, &said.stream(Api::Messages, None, true));
    assert!(counted.finished, "nothing at all is an answer too");
}

#[test]
fn requests_are_heard_in_every_api() {
    let chat = r#"{"model": "m", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 7, "n": 2,
        "tools": [{"type": "function", "function": {"name": "look_up"}}],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Old"},
            {"role": "assistant", "tool_calls": [{"id": "c0", "function": {"name": "old"}}]},
            {"role": "tool", "tool_call_id": "c0", "content": "gone"},
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": {"name": "look_up"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"}]}"#;
    let responses = r#"{"model": "m", "stream": true, "max_output_tokens": 7, "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "look_up"}],
        "input": [{"role": "user", "content": "Old"}, {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c0", "name": "old", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c0", "output": "gone"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
            {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"}]}"#;
    let messages = r#"{"model": "m", "stream": true, "max_tokens": 7, "system": [{"type": "text", "text": "Be brief."}],
        "tools": [{"name": "look_up", "input_schema": {}}],
        "messages": [{"role": "user", "content": "Old"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c0", "name": "old", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c0", "content": "gone"}, {"type": "text", "text": "Weather?"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look_up", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "rain"}]}]}]}"#;
    for (api, text) in [(Api::Chat, chat), (Api::Responses, responses), (Api::Messages, messages)] {
        let heard = Heard::read(api, &object(text));
        assert_eq!((heard.system.as_str(), heard.user.as_str()), ("Be brief.", "Weather?"), "{api:?}");
        assert_eq!((heard.turn, heard.stream, heard.limit), (3, true, Some(7)), "{api:?}");
        assert!(heard.tools == ["look_up"] && heard.model == "m");
        let rain = Brought { tool: "look_up".into(), text: "rain".into() };
        assert!(heard.results == [rain], "{api:?}: only what came since the last answer");
    }
    let heard = Heard::read(Api::Responses, &object(r#"{"input": "Hi"}"#));
    assert_eq!((heard.user.as_str(), heard.turn), ("Hi", 1));
    assert!(!format!("{heard:?}").contains("Hi"));
}

#[test]
fn texts_that_share_words_have_vectors_that_are_near() {
    let heard = Heard::read(
        Api::Embeddings,
        &object(
            r#"{"model": "e", "input": ["the red fox", "the red dog", "quarterly tax report", "", "!?", "the red fox"]}"#,
        ),
    );
    let answer = embeddings(&heard, 9);
    let vector = |at: u64| -> Vec<f64> {
        let value = Value::Object(answer.clone());
        let vector = value.pointer(&format!("/data/{at}/embedding")).unwrap().as_array().unwrap();
        vector.iter().map(|number| number.as_number().unwrap().as_f64().unwrap()).collect()
    };
    let product =
        |one: u64, other: u64| -> f64 { vector(one).iter().zip(vector(other)).map(|(a, b)| a * b).sum() };
    assert_eq!((vector(0).len(), vector(0) == vector(5)), (256, true));
    for at in 0..6 {
        assert!((product(at, at) - 1.0).abs() < 1e-3, "each is as long as 1");
    }
    assert!(product(0, 1) > product(0, 2) + 0.3);
    assert_eq!(answer::whole(Api::Embeddings, &answer.into()).usage.unwrap().input, 9);
}

#[test]
fn vectors_in_base64_are_the_same_vectors() {
    use base64::Engine as _;
    let read = |more: &str| {
        let text = format!(r#"{{"input": "a b", "dimensions": 5{more}}}"#);
        embeddings(&Heard::read(Api::Embeddings, &object(&text)), 1)
    };
    let (plain, packed) = (Value::Object(read("")), Value::Object(read(r#", "encoding_format": "base64""#)));
    let packed = packed.pointer("/data/0/embedding").unwrap().as_str().unwrap().to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
    let unpacked = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()).to_string());
    let numbers = plain.pointer("/data/0/embedding").unwrap().as_array().unwrap();
    assert_eq!(
        unpacked.collect::<Vec<_>>(),
        numbers.iter().map(|number| number.as_number().unwrap().as_str().to_owned()).collect::<Vec<_>>()
    );
    assert_eq!(numbers.len(), 5);
}

#[test]
fn what_counts_as_tokens_is_the_input() {
    let counted = said(Vec::new(), Stop::End).whole(Api::CountTokens);
    assert_eq!(counted.get("input_tokens").and_then(Value::as_u64), Some(100));
}

proptest! {
    #[test]
    fn what_is_counted_while_it_passes_is_what_is_said_to_be_used(
        text in ".{0,60}", thoughts in ".{0,60}", value in "[a-zäöü\" ]{0,20}", chunks in proptest::option::of(1_usize..9),
        input in 0_u64..1_000_000,
    ) {
        for api in GENERATING {
            let call = Part::Call { tool: "t".into(), arguments: Object::new().with("v", value.as_str()) };
            let parts = vec![Part::Think(thoughts.as_str().into()), Part::Text(text.as_str().into()), call];
            let mut said = said(parts, Stop::Tools);
            said.usage = Usage { input, ..Usage::default() };
            said.count(api, Tokenizer::O200k);
            let whole = answer::whole(api, &said.whole(api).into());
            prop_assert_eq!((whole.usage, whole.doubtful), (Some(said.usage), false));
            let (counted, _) = metered(api, &said.stream(api, chunks, true));
            prop_assert!(counted.is_exact());
            prop_assert_eq!(counted.reported, Some(said.usage));
        }
    }
}
