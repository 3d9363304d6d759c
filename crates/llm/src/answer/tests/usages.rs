//! Every token once, and no count believed that cannot be.

use super::*;

/// The API, the usage as stated, what it is read as, and whether it is doubted.
const STATED: &[(Api, &str, [u64; 6], bool)] = &[
    // OpenAI, as documented.
    (
        Api::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}"#,
        [100, 0, 0, 0, 20, 0],
        false,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":192,"accepted_prediction_tokens":0}}"#,
        [86, 1920, 0, 0, 108, 192],
        false,
    ),
    (
        Api::Responses,
        r#"{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600,"cache_write_tokens":300,"cache_write_tokens_details":{"ttl_30m_tokens":200,"ttl_12h_tokens":100}},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":1050}"#,
        [100, 600, 200, 100, 20, 30],
        false,
    ),
    (Api::Embeddings, r#"{"prompt_tokens":8,"total_tokens":8}"#, [8, 0, 0, 0, 0, 0], false),
    // Others who speak OpenAI's API.
    (
        Api::Chat,
        r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
        [32, 0, 0, 0, 9, 94],
        false,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":65}"#,
        [10, 0, 0, 0, 5, 50],
        false,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
        [36, 64, 0, 0, 5, 0],
        false,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":12.0,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":null}"#,
        [12, 0, 0, 0, 5, 0],
        false,
    ),
    // Lies.
    (
        Api::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":500}}"#,
        [500, 0, 0, 0, 20, 0],
        true,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"completion_tokens_details":{"reasoning_tokens":50}}"#,
        [100, 0, 0, 0, 20, 50],
        true,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":-5,"completion_tokens":20,"total_tokens":120}"#,
        [0, 0, 0, 0, 20, 100],
        true,
    ),
    (Api::Chat, r#"{"prompt_tokens":"100","completion_tokens":20}"#, [100, 0, 0, 0, 20, 0], true),
    (Api::Chat, r#"{"prompt_tokens":100.2,"completion_tokens":20}"#, [101, 0, 0, 0, 20, 0], true),
    (Api::Chat, r#"{"prompt_tokens":1e30,"completion_tokens":20}"#, [TOKENS_MAX, 0, 0, 0, 20, 0], true),
    (
        Api::Chat,
        r#"{"prompt_tokens":18446744073709551615,"completion_tokens":20}"#,
        [TOKENS_MAX, 0, 0, 0, 20, 0],
        true,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":90}"#,
        [100, 0, 0, 0, 20, 0],
        true,
    ),
    (
        Api::Chat,
        r#"{"prompt_tokens":[],"completion_tokens":{},"prompt_tokens_details":7}"#,
        [0, 0, 0, 0, 0, 0],
        true,
    ),
    (Api::Chat, r#"{"prompt_tokens":10,"completion_tokens":0,"total_tokens":15}"#, [15, 0, 0, 0, 0, 0], true),
    (Api::Chat, r#"{"total_tokens":90}"#, [90, 0, 0, 0, 0, 0], true),
    (Api::Chat, r#"{"prompt_tokens":90}"#, [90, 0, 0, 0, 0, 0], true),
    (Api::Chat, "{}", [0, 0, 0, 0, 0, 0], true),
    // Anthropic, as documented.
    (Api::Messages, r#"{"input_tokens":10,"output_tokens":20}"#, [10, 0, 0, 0, 20, 0], false),
    (
        Api::Messages,
        r#"{"input_tokens":50,"cache_read_input_tokens":100000,"cache_creation_input_tokens":248,"cache_creation":{"ephemeral_5m_input_tokens":148,"ephemeral_1h_input_tokens":100},"output_tokens":503,"output_tokens_details":{"thinking_tokens":400},"service_tier":"standard"}"#,
        [50, 100_000, 148, 100, 103, 400],
        false,
    ),
    (
        Api::Messages,
        r#"{"input_tokens":50,"cache_creation_input_tokens":248,"output_tokens":5}"#,
        [50, 0, 248, 0, 5, 0],
        false,
    ),
    // Lies.
    (
        Api::Messages,
        r#"{"input_tokens":50,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":148,"ephemeral_1h_input_tokens":100},"output_tokens":5}"#,
        [50, 0, 148, 152, 5, 0],
        true,
    ),
    (
        Api::Messages,
        r#"{"input_tokens":50,"cache_creation_input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":148},"output_tokens":5}"#,
        [50, 0, 148, 0, 5, 0],
        true,
    ),
    (
        Api::Messages,
        r#"{"input_tokens":50,"output_tokens":5,"output_tokens_details":{"thinking_tokens":7}}"#,
        [50, 0, 0, 0, 0, 7],
        true,
    ),
    (Api::Messages, r#"{"input_tokens":true,"output_tokens":"x"}"#, [0, 0, 0, 0, 0, 0], true),
];

#[test]
fn every_token_is_counted_once_and_lies_are_doubted() {
    for (api, stated, expected, doubtful) in STATED {
        let read = whole(*api, &json(&format!(r#"{{"usage":{stated}}}"#)));
        assert_eq!((read.usage, read.doubtful), (Some(usage(*expected)), *doubtful), "{api:?} {stated}");
    }
}

#[test]
fn no_usage_is_none_and_counting_tokens_costs_nothing() {
    for api in [Api::Chat, Api::Responses, Api::Messages, Api::Embeddings] {
        for answer in ["{}", r#"{"usage":null}"#, "[]", "7"] {
            assert_eq!(whole(api, &json(answer)).usage, None, "{api:?} {answer}");
        }
    }
    assert_eq!(whole(Api::CountTokens, &json(r#"{"input_tokens":14}"#)).usage, Some(Usage::default()));
}

#[test]
fn a_long_answer_for_a_token_is_doubted() {
    let answer = |bytes| {
        let content = "a".repeat(bytes);
        json(&format!(
            r#"{{"choices":[{{"message":{{"content":"{content}"}}}}],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#
        ))
    };
    assert!(!whole(Api::Chat, &answer(128)).doubtful);
    assert!(whole(Api::Chat, &answer(129)).doubtful);
}
