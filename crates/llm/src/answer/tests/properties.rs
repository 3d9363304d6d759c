//! Whatever comes.

use proptest::prelude::*;
use ringfence_json::{Number, Object};

use super::*;
use crate::events::Event;

/// Values with the names and kinds that the readers look for, in any place.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![Just("1e999"), Just("-0.5"), Just("99999999999999999999"), Just("3.0")]
            .prop_map(|literal| Number::new(literal).unwrap().into()),
        prop_oneof![
            Just("error"),
            Just("message_start"),
            Just("message_delta"),
            Just("content_block_delta"),
            Just("tool_use"),
            Just("response.completed"),
            Just("response.output_item.done"),
            Just("web_search_call"),
            Just("x"),
            Just("12"),
        ]
        .prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("type"),
        Just("usage"),
        Just("choices"),
        Just("delta"),
        Just("message"),
        Just("content"),
        Just("item"),
        Just("response"),
        Just("output"),
        Just("error"),
        Just("input_tokens"),
        Just("prompt_tokens"),
        Just("completion_tokens"),
        Just("total_tokens"),
        Just("output_tokens"),
        Just("prompt_tokens_details"),
        Just("cached_tokens"),
        Just("cache_creation"),
        Just("cache_creation_input_tokens"),
        Just("ephemeral_1h_input_tokens"),
        Just("completion_tokens_details"),
        Just("reasoning_tokens"),
        Just("output_tokens_details"),
        Just("thinking_tokens"),
        Just("server_tool_use"),
        Just("tool_usage"),
        Just("web_search"),
        Just("num_requests"),
        Just("sequence_number"),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.into(), value)).collect::<Object>(),
                )
            }),
        ]
    })
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..100, 0_u64..100_000]
}

proptest! {
    #[test]
    fn no_value_makes_a_reader_panic(values in proptest::collection::vec(anything(), 1..6), hide: bool) {
        for api in Api::ALL {
            let mut meter = Meter::new(api, Tokenizer::O200k, hide);
            for value in &values {
                whole(api, value);
                output_tokens(api, value, Tokenizer::Bytes);
                let data = Bytes::from(value.to_bytes());
                let _ = meter.event(&Event { name: None, data: data.clone(), raw: data });
            }
            meter.counted().usage(7);
            meter.output_tokens();
        }
    }

    #[test]
    fn no_bytes_make_the_meter_panic(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
        let mut meter = Meter::new(Api::Chat, Tokenizer::O200k, true);
        for data in pieces.into_iter().map(Bytes::from) {
            let _ = meter.event(&Event { name: None, data: data.clone(), raw: data });
        }
    }

    #[test]
    fn a_reading_is_never_less_than_a_total_that_is_stated(
        input in count(), output in count(), total in proptest::option::of(count()), cached in count(), reasoning in count(), written in count(),
    ) {
        let total_text = total.map(|total| format!(r#","total_tokens":{total}"#)).unwrap_or_default();
        let answer = json(&format!(
            r#"{{"usage":{{"prompt_tokens":{input},"completion_tokens":{output}{total_text},"prompt_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":{written}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}}}"#
        ));
        let read = whole(Api::Chat, &answer);
        let usage = read.usage.unwrap();
        prop_assert!(usage.input_total() >= input.max(cached + written));
        prop_assert!(usage.output_total() >= output.max(reasoning));
        prop_assert!(usage.total() >= total.unwrap_or(0));
        // What agrees with itself is taken to the token.
        if cached + written <= input && reasoning <= output && total.is_none_or(|total| total == input + output) {
            prop_assert!(!read.doubtful);
            prop_assert_eq!((usage.input_total(), usage.output_total()), (input, output));
            prop_assert_eq!((usage.cached_input, usage.cache_write, usage.reasoning), (cached, written, reasoning));
        }
    }

    #[test]
    fn a_message_is_never_read_as_less_than_is_stated(
        input in count(), cached in count(), written in count(), short in count(), hour in count(), output in count(), thinking in count(),
    ) {
        let answer = json(&format!(
            r#"{{"usage":{{"input_tokens":{input},"cache_read_input_tokens":{cached},"cache_creation_input_tokens":{written},"cache_creation":{{"ephemeral_5m_input_tokens":{short},"ephemeral_1h_input_tokens":{hour}}},"output_tokens":{output},"output_tokens_details":{{"thinking_tokens":{thinking}}}}}}}"#
        ));
        let read = whole(Api::Messages, &answer);
        let usage = read.usage.unwrap();
        prop_assert_eq!(usage.input_total(), input + cached + written.max(short + hour));
        prop_assert_eq!(usage.output_total(), output.max(thinking));
        prop_assert_eq!(read.doubtful, written != short + hour || thinking > output);
    }
}
