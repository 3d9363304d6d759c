//! OpenAI's embeddings, of nobody's model: the same text has the same vector, and texts that share words have vectors that
//! are near.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringfence_json::{Number, Object, Value};
use ringfence_types::Digest;

use super::Heard;

/// Numbers of a vector, unless the request says how many.
const DIMENSIONS: u64 = 256;

/// The most numbers of a vector.
const DIMENSIONS_MAX: u64 = 4_096;

/// The whole answer; `tokens` is what the texts come to.
pub fn embeddings(heard: &Heard, tokens: u64) -> Object {
    let dimensions = heard.dimensions.unwrap_or(DIMENSIONS).clamp(1, DIMENSIONS_MAX);
    let one = |(index, text): (u64, &String)| {
        let vector = vector(text, usize::try_from(dimensions).unwrap_or(1));
        let vector = if heard.base64 { in_base64(&vector) } else { in_numbers(&vector) };
        Object::new().with("object", "embedding").with("index", index).with("embedding", vector)
    };
    let data: Vec<Object> = (0..).zip(&heard.inputs).map(one).collect();
    let usage = Object::new().with("prompt_tokens", tokens).with("total_tokens", tokens);
    Object::new()
        .with("object", "list")
        .with("data", data)
        .with("model", heard.model.as_str())
        .with("usage", usage)
}

/// The sum of a vector for each word, made as long as 1.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0_f32; dimensions];
    let lower = text.to_lowercase();
    let words = lower.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    // A text without a word has a vector as well.
    for word in words.chain(lower.is_empty().then_some("")) {
        add(word, &mut sum);
    }
    let mut length = norm(&sum);
    if length == 0.0 {
        add(&lower, &mut sum);
        length = norm(&sum);
    }
    if length == 0.0 {
        // Words that cancel each other out, or hardly so many numbers that this could happen.
        sum[0] = 1.0;
        length = 1.0;
    }
    for number in &mut sum {
        *number /= length;
    }
    sum
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|number| number * number).sum::<f32>().sqrt()
}

/// Adds the vector of a word: a half up or down in each direction, as its digest has it.
fn add(word: &str, sum: &mut [f32]) {
    for (block, part) in sum.chunks_mut(64).enumerate() {
        let digest = Digest::of(format!("{block}:{word}").as_bytes()).to_string();
        for (number, digit) in part.iter_mut().zip(digest.chars()) {
            *number += if digit.to_digit(16).unwrap_or(0) % 2 == 0 { 0.5 } else { -0.5 };
        }
    }
}

fn in_numbers(vector: &[f32]) -> Value {
    // The shortest text that reads as the same number; it has no exponent and is always a number of JSON.
    let number = |number: &f32| Number::new(&number.to_string()).map_or(Value::Null, Value::Number);
    Value::Array(vector.iter().map(number).collect())
}

/// As OpenAI's libraries ask for it: 32 bits each, the lowest byte first.
fn in_base64(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes).into()
}
