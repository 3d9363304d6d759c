//! What holds of every stream of a model's answer.
//!
//! Switch 1 hides the usage; the number says where the stream is cut.

use bytes::Bytes;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_llm::answer::{Counted, Meter, Pass};
use ringfence_llm::events::{Event, Reader};
use ringfence_llm::tokens::Tokenizer;
use ringfence_llm::{Api, Family};
use ringfence_types::Code;

use crate::head;

/// More than any input.
const BYTES_MAX: usize = 1 << 20;

/// Less than some.
const BYTES_FEW: usize = 200;

/// Sends the bytes through as a stream; returns whether it was one, from its beginning to its end.
pub fn check(data: &[u8]) -> bool {
    let Some((head, stream)) = head::read(data) else { return false };
    let Some(api) = Api::ALL.into_iter().find(|api| api.word() == head.word) else { return false };
    let (whole, tail) = events(stream, usize::MAX);
    let (cut, cut_tail) = events(stream, usize::try_from(head.number).unwrap_or(0));
    are_all_bytes(stream, &whole, tail.as_ref());
    are_all_bytes(stream, &cut, cut_tail.as_ref());
    cuts_change_nothing(&whole, &cut);
    large_ones_are_refused(stream);
    let hide = head.switches & 1 == 1;
    let (Some(one), Some(other)) =
        (metered(api, hide, &whole, head.number), metered(api, hide, &cut, head.number))
    else {
        assert!(
            metered(api, hide, &whole, head.number).is_none()
                && metered(api, hide, &cut, head.number).is_none(),
            "cuts matter"
        );
        return false;
    };
    assert!(one == other, "the stream counts differently when it is cut elsewhere");
    if hide && let Some(shown) = metered(api, false, &whole, head.number) {
        only_usage_is_hidden(&whole, &one.passed, &shown.passed);
        assert!(one.counted == shown.counted, "what is hidden is counted all the same");
    }
    one.counted.finished || !api.generates()
}

/// The events of a stream that comes in pieces that follow from a number, and what is left at its end.
fn events(stream: &[u8], cut: usize) -> (Vec<Event>, Option<Event>) {
    let mut reader = Reader::new(BYTES_MAX);
    let (mut all, mut at, mut size) = (Vec::new(), 0, cut);
    while at < stream.len() {
        // Pieces of changing sizes, single bytes among them.
        size = if cut == usize::MAX { cut } else { size.wrapping_mul(31).wrapping_add(7) % 97 };
        let end = at.saturating_add(size.max(1)).min(stream.len());
        reader.push(Bytes::copy_from_slice(&stream[at..end]));
        while let Some(event) = reader.next_event().expect("no event is so large") {
            all.push(event);
        }
        at = end;
    }
    let between = reader.is_between_events();
    let tail = reader.finish();
    assert!(!between || tail.as_ref().is_none_or(Event::is_empty), "between events, and something is left");
    (all, tail)
}

fn are_all_bytes(stream: &[u8], events: &[Event], tail: Option<&Event>) {
    let bytes: Vec<u8> = events.iter().chain(tail).flat_map(|event| event.raw.iter().copied()).collect();
    assert!(bytes == stream, "the reader loses or invents bytes");
}

/// Where a carriage return ends an event and a piece, its line feed opens the next one: what is said is the same.
fn cuts_change_nothing(whole: &[Event], cut: &[Event]) {
    let said = |events: &[Event]| -> Vec<_> {
        events
            .iter()
            .filter(|event| !event.is_empty())
            .map(|event| (event.name.clone(), event.data.clone()))
            .collect()
    };
    assert!(said(whole) == said(cut), "the stream says something else when it is cut elsewhere");
}

fn large_ones_are_refused(stream: &[u8]) {
    let mut reader = Reader::new(BYTES_FEW);
    for piece in stream.chunks(50) {
        reader.push(Bytes::copy_from_slice(piece));
        loop {
            match reader.next_event() {
                Ok(Some(event)) => assert!(event.raw.len() <= BYTES_FEW, "larger than the bound"),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

#[derive(PartialEq)]
struct Metered {
    passed: Vec<Pass>,
    counted: Counted,
}

/// What a meter makes of it; `None` where an event is garbage.
fn metered(api: Api, hide: bool, events: &[Event], number: u64) -> Option<Metered> {
    let mut meter = Meter::new(api, Tokenizer::O200k, hide);
    let (mut passed, mut tokens) = (Vec::new(), 0);
    ends_early(api, &meter);
    for event in events.iter().filter(|event| !event.is_empty()) {
        passed.push(meter.event(event).ok()?);
        if passed.len() as u64 == number % 16 {
            ends_early(api, &meter);
        }
        assert!(meter.output_tokens() >= tokens, "what was written becomes less");
        tokens = meter.output_tokens();
    }
    ends_early(api, &meter);
    let counted = meter.counted();
    assert!(
        counted.output_tokens_counted <= counted.output_bytes + 64 * events.len() as u64,
        "counted too much"
    );
    let usage = counted.usage(7);
    assert!(counted.input_reported || usage.input_total() >= 7, "the estimate is lost");
    Some(Metered { passed, counted })
}

/// A stream can be ended after any event, in a way that its own clients understand.
fn ends_early(api: Api, meter: &Meter) {
    let decision = Object::new().with("code", "over_budget");
    let last = meter.end_early(Code::OverBudget, "The budget\r\n of this \"run\" is spent.", Some(&decision));
    let (events, tail) = events(&last, usize::MAX);
    assert!(tail.is_none() && events.len() == 1, "not one event");
    let value = parse(&events[0].data, &Limits::default()).expect("an error is JSON");
    let told = value.pointer("/error/message").or_else(|| value.get("message"));
    assert!(told.is_some(), "the error says nothing");
    assert!(api.family() == Family::OpenAi || events[0].name.as_deref() == Some("error"));
    let mut reads = Meter::new(api, Tokenizer::O200k, false);
    reads.event(&events[0]).expect("the last event is none of this API");
    if api.generates() {
        let counted = reads.counted();
        assert!(counted.failed.is_some() && counted.finished, "the end is not seen");
    }
}

/// What is hidden from a client that did not ask for the usage is the usage and nothing else.
fn only_usage_is_hidden(events: &[Event], hidden: &[Pass], shown: &[Pass]) {
    let said = events.iter().filter(|event| !event.is_empty());
    for (event, (hidden, shown)) in said.zip(hidden.iter().zip(shown)) {
        if hidden == shown {
            continue;
        }
        let mut object = object(event, shown);
        assert!(object.remove("usage").is_some(), "changed, and there was no usage");
        if *hidden == Pass::Hidden {
            let choices = object.get("choices").and_then(Value::as_array).unwrap_or_default();
            assert!(choices.iter().all(|one| one.as_object().is_none()), "content is hidden");
            assert!(!object.contains("error"), "an error is hidden");
        } else {
            let again = self::object(event, hidden);
            assert!(again.to_canonical() == object.to_canonical(), "more than the usage is gone");
        }
    }
}

/// What goes on of an event.
fn object(event: &Event, pass: &Pass) -> Object {
    let instead;
    let data = match pass {
        Pass::AsIs => &event.data,
        Pass::Instead(bytes) => {
            let (mut all, tail) = events(bytes, usize::MAX);
            assert!(all.len() == 1 && tail.is_none(), "instead of one event others");
            instead = all.remove(0);
            assert!(instead.name == event.name, "another name");
            &instead.data
        }
        Pass::Hidden => panic!("nothing is hidden from who asked"),
    };
    let value = parse(data, &Limits { bytes: BYTES_MAX, ..Limits::default() });
    value.ok().and_then(Value::into_object).expect("an event that was metered is an object")
}
