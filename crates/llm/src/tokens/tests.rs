//! Estimates beside exact counts, which were made with the published tokenizers.

use proptest::prelude::*;

use super::*;
use crate::Family;

/// Texts with their exact counts by `o200k_base` and `cl100k_base`.
const COUNTED: &[(&str, u64, u64)] = &[
    (
        "The quick brown fox jumps over the lazy dog, and nobody at the fair was surprised when it did so again the next morning.",
        26,
        26,
    ),
    (
        "fn main() {\n    let total: u64 = items.iter().map(|item| item.price * item.count).sum();\n    println!(\"{total}\");\n}\n",
        32,
        32,
    ),
    (
        "{\"city\":\"Paris\",\"unit\":\"celsius\",\"days\":[1,2,3],\"detailed\":true,\"id\":\"call_8123456789\"}",
        32,
        32,
    ),
    ("Все люди рождаются свободными и равными в своем достоинстве и правах.", 17, 35),
    ("人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。", 35, 50),
    ("सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।", 25, 84),
    ("3.14159265358979323846264338327950288419716939937510", 19, 19),
    ("🎉👍😀🚀🔥💯", 9, 16),
    ("", 0, 0),
    (" ", 1, 1),
    ("\n\n", 1, 1),
];

#[test]
fn an_estimate_is_near_the_exact_count_and_rather_above_it() {
    for (text, o200k, cl100k) in COUNTED {
        for (tokenizer, exact) in [(Tokenizer::O200k, *o200k), (Tokenizer::Cl100k, *cl100k)] {
            let estimate = tokenizer.count(text);
            let (least, most) = (exact * 80 / 100, exact * 140 / 100 + 4);
            assert!((least..=most).contains(&estimate), "{tokenizer:?} {estimate} for {exact}: {text}");
        }
        let unknown = Tokenizer::Bytes.count(text);
        assert!(unknown * 10 >= (*o200k).min(*cl100k) * 9, "{unknown}: {text}");
    }
}

#[test]
fn words_name_tokenizers() {
    let named = ["o200k", "o200k_base", "cl100k_base", "bytes", "gpt2"].map(|word| word.parse().ok());
    let o200k = Some(Tokenizer::O200k);
    assert_eq!(named, [o200k, o200k, Some(Tokenizer::Cl100k), Some(Tokenizer::Bytes), None]);
}

#[test]
fn a_request_counts_as_its_bytes_and_what_the_provider_adds() {
    let upper = |family, shape| request_upper(family, Tokenizer::Bytes, &shape);
    let text = Shape { text_bytes: 1_000, messages: 2, ..Shape::default() };
    let tools = Shape { tools: 3, provider_tools: 1, ..text };
    let images = Shape { images: 2, image_tokens: 1_500, ..text };
    for (family, plain, with_tools) in [(Family::OpenAi, 1_180, 3_372), (Family::Anthropic, 1_084, 4_860)] {
        assert_eq!(upper(family, text), plain);
        assert_eq!(upper(family, tools), with_tools);
        assert_eq!(upper(family, images), plain + 3_000);
        assert!(image_upper(family) >= 4_784);
    }
    let most = Shape { images: u64::MAX, image_tokens: u64::MAX, messages: u64::MAX, ..text };
    assert_eq!(upper(Family::OpenAi, most), u64::MAX, "a sum that is too large refuses, it does not wrap");
}

proptest! {
    #[test]
    fn an_estimate_is_never_over_the_bound_nor_under_the_least(text in "\\PC{0,200}|[ -~\n\t]{0,200}|[ \n-]{0,300}") {
        let bytes = text.len() as u64;
        for tokenizer in [Tokenizer::O200k, Tokenizer::Cl100k, Tokenizer::Bytes] {
            let count = tokenizer.count(&text);
            prop_assert!(count <= tokenizer.upper_bound_bytes(bytes));
            prop_assert!(count >= tokenizer.lower_bound_bytes(bytes));
        }
    }

    #[test]
    fn pieces_come_to_the_whole_or_more_but_for_their_borders(text in "[a-zA-Z0-9 .,\n]{1,200}", cut in 1_usize..20) {
        let pieces: Vec<&str> = text.as_bytes().chunks(cut).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let sum: u64 = pieces.iter().map(|piece| Tokenizer::O200k.count(piece)).sum();
        let whole = Tokenizer::O200k.count(&text);
        // Spaces of an indentation that is cut, and words that are cut in their first letters, are all that differs.
        prop_assert!(sum + whole / 2 + 1 >= whole && sum <= whole + pieces.len() as u64 * 2, "{sum} {whole}");
    }
}
