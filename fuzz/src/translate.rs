//! What holds of everything that is translated between the APIs of two providers.

use bytes::Bytes;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_llm::Api;
use ringfence_llm::answer::{Meter, whole};
use ringfence_llm::events::{Event, Reader};
use ringfence_llm::request::{ChatLimit, Switches, read, set_output};
use ringfence_llm::tokens::Tokenizer;
use ringfence_llm::translate::{
    ChatStream, DROPPED_MAX, MessagesStream, chat_to_messages, chat_to_messages_answer, error_to_chat,
    error_to_messages, messages_to_chat, messages_to_chat_answer,
};

use crate::head;

/// A translation may be this much longer than what it is of: so many times, and so many bytes for each value.
const GROWS_MAX: usize = 12;
const GROWS_BYTES_MAX: usize = 4_096;

/// Translates what the head says it is; returns whether it could be.
pub fn check(data: &[u8]) -> bool {
    let Some((head, rest)) = head::read(data) else { return false };
    if let Some(from) = head.word.strip_prefix("stream-").and_then(api) {
        return stream(from, head.switches & 1 == 1, rest);
    }
    let Some(object) = object(rest) else { return false };
    let Some((what, from)) = head.word.split_once('-') else { return false };
    match (what, api(from)) {
        ("request", Some(from)) => request(from, object),
        ("answer", Some(from)) => answer(from, &object),
        ("error", Some(from)) => error(from, u16::try_from(head.number).unwrap_or(500), &object),
        _ => false,
    }
}

fn api(word: &str) -> Option<Api> {
    [Api::Chat, Api::Messages].into_iter().find(|api| api.word() == word)
}

fn other(api: Api) -> Api {
    if api == Api::Chat { Api::Messages } else { Api::Chat }
}

fn object(data: &[u8]) -> Option<Object> {
    parse(data, &Limits::default()).ok()?.into_object()
}

fn size(object: &Object) -> usize {
    Value::Object(object.clone()).to_bytes().len()
}

fn has_not_grown(from: usize, to: usize) {
    assert!(to <= from * GROWS_MAX + GROWS_BYTES_MAX, "{from} bytes have become {to}");
}

/// As the gateway does it: read, limited, translated. What is sent then is a request that the gateway itself would take
/// of the other API, with the same limit.
fn request(from: Api, mut request: Object) -> bool {
    let switches = Switches { stored: true, remote: true, ..Switches::default() };
    let Ok(asked) = read(from, &request, &switches) else { return false };
    if asked.output.is_none() && set_output(&mut request, from, 512, ChatLimit::MaxCompletionTokens).is_err()
    {
        return false;
    }
    let limit = asked.output.unwrap_or(512);
    let translated = match from {
        Api::Chat => chat_to_messages(&request),
        _ => messages_to_chat(&request),
    };
    let Ok(translated) = translated else { return false };
    assert!(translated.dropped.len() <= DROPPED_MAX);
    has_not_grown(size(&request), size(&translated.body));
    let body = object(&Value::Object(translated.body.clone()).to_bytes()).expect("a translation is JSON");
    let again = read(other(from), &body, &switches);
    let again = again.unwrap_or_else(|objection| panic!("translated into what is refused: {objection:?}"));
    assert_eq!(again.output, Some(limit), "another limit");
    assert_eq!(again.answers, asked.answers, "another number of answers");
    assert_eq!(again.stream, asked.stream);
    assert_eq!(again.model, asked.model);
    assert_eq!(again.tools.len(), asked.tools.len(), "tools were lost or invented");
    assert_eq!(again.images, asked.images, "images were lost or invented");
    true
}

fn answer(from: Api, answer: &Object) -> bool {
    let translated = match from {
        Api::Chat => chat_to_messages_answer(answer, "model"),
        _ => messages_to_chat_answer(answer, 7, "model"),
    };
    let Ok(translated) = translated else { return false };
    has_not_grown(size(answer), size(&translated));
    // A total that is more than its parts is read as more written, and is not translated: nobody reads it there.
    let mut parts = answer.clone();
    if let Some(Value::Object(usage)) = parts.get_mut("usage") {
        usage.remove("total_tokens");
    }
    let one = whole(from, &Value::Object(parts));
    let again = whole(other(from), &Value::Object(translated));
    if let (Some(usage), false) = (one.usage, one.doubtful) {
        let again = again.usage.expect("the usage is lost");
        assert_eq!(again.input_total(), usage.input_total(), "another count of what was read");
        assert_eq!(again.output_total(), usage.output_total(), "another count of what was written");
    }
    true
}

fn error(from: Api, status: u16, body: &Object) -> bool {
    let (_, translated) = match from {
        Api::Chat => error_to_messages(status, body),
        _ => error_to_chat(status, body),
    };
    has_not_grown(size(body), size(&translated));
    let told = Value::Object(translated);
    assert!(
        told.pointer("/error/message").is_some_and(|message| message.as_str().is_some()),
        "nothing is told"
    );
    body.contains("error")
}

/// What a stream is turned into is one that the gateway's own meter takes, at every event.
fn stream(from: Api, include_usage: bool, stream: &[u8]) -> bool {
    let mut reader = Reader::new(1 << 20);
    reader.push(Bytes::copy_from_slice(stream));
    let mut chat = ChatStream::new(7, "model", include_usage);
    let mut messages = MessagesStream::new("model");
    let mut meter = Meter::new(other(from), Tokenizer::O200k, false);
    let mut ended = false;
    while let Some(event) = reader.next_event().expect("no event is so large") {
        if event.is_empty() {
            continue;
        }
        let mut out = Vec::new();
        let done = match from {
            Api::Chat => messages.chunk(&event.data, &mut out),
            _ => chat.event(event.name.as_deref().unwrap_or_default(), &event.data, &mut out),
        };
        if done.is_err() {
            return false;
        }
        assert!(!ended || out.is_empty(), "something follows the end");
        has_not_grown(event.raw.len(), out.len());
        takes(&mut meter, &out);
        ended = if from == Api::Chat { messages.is_ended() } else { chat.is_ended() };
    }
    let mut out = Vec::new();
    let whole = if from == Api::Chat { messages.end(&mut out).is_ok() } else { chat.end().is_ok() };
    takes(&mut meter, &out);
    assert!(!whole || meter.counted().finished, "the end is lost");
    whole
}

fn takes(meter: &mut Meter, out: &[u8]) {
    let mut reader = Reader::new(1 << 22);
    reader.push(Bytes::copy_from_slice(out));
    while let Some(event) = reader.next_event().expect("no event is so large") {
        takes_one(meter, &event);
    }
    assert!(reader.finish().is_none(), "an event is cut off");
}

fn takes_one(meter: &mut Meter, event: &Event) {
    assert!(meter.event(event).is_ok(), "an event that the other API does not have");
}
