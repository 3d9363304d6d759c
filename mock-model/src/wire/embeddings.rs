//! OpenAI's embeddings.

use super::list;
use crate::ask::Ask;
use crate::said::{Said, quoted};

/// Numbers of a vector, unless the request says how many.
const DIMENSIONS: u32 = 8;

/// The most numbers of a vector.
const MOST_DIMENSIONS: u32 = 4_096;

/// The whole answer.
pub fn embeddings(said: &Said, ask: &Ask) -> String {
    let dimensions = ask.dimensions.unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    let base64 = ask.encoding_format.as_deref() == Some("base64");
    let vector =
        if base64 { quoted(&encoded(dimensions)) } else { list((0..dimensions).map(|_| "0.5".to_owned())) };
    let data = list(
        (0..inputs(ask))
            .map(|index| format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#)),
    );
    let (model, input) = (&said.model, said.usage.input);
    let usage = if said.usage_times > 0 {
        format!(r#","usage":{{"prompt_tokens":{input},"total_tokens":{input}}}"#)
    } else {
        String::new()
    };
    format!(r#"{{"object":"list","data":{data},"model":{model}{usage}}}"#)
}

/// Texts: one, or as many as the list has; a list of numbers is one text.
fn inputs(ask: &Ask) -> usize {
    let Some(text) = ask.input.map(serde_json::value::RawValue::get) else { return 1 };
    if !text.starts_with('[') {
        return 1;
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(items) if !items.iter().all(serde_json::Value::is_number) => items.len(),
        _ => 1,
    }
}

/// The vector as little-endian 32-bit floats in base64: 0.5 is 0x3f000000.
fn encoded(dimensions: u32) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = (0..dimensions).flat_map(|_| 0.5_f32.to_le_bytes()).collect();
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..4_usize {
            let place = (bits >> (18 - 6 * letter)) & 63;
            text.push(if letter <= three.len() { char::from(LETTERS[place as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn vectors_are_base64_as_everybody_writes_it() {
        assert_eq!(encoded(1), "AAAAPw==");
        assert_eq!(encoded(2), "AAAAPwAAAD8=");
        assert_eq!(encoded(3), "AAAAPwAAAD8AAAA/");
    }
}
