//! LiteLLM's list: what is taken over, exactly, and what is skipped and why.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

use std::fmt::Write as _;

use ringfence_prices::{ImportError, Imported, Remark, Said, import_litellm};

const LIST: &str = include_str!("litellm.json");

fn imported() -> Imported {
    import_litellm(LIST.as_bytes()).unwrap()
}

#[test]
fn what_can_be_said_as_a_price_is_taken_over_and_the_rest_is_named() {
    let imported = imported();
    let mut text = String::new();
    for skipped in &imported.skipped {
        writeln!(text, "skipped {}: {}", skipped.name, skipped.reason).unwrap();
    }
    for remark in &imported.remarks {
        match remark {
            Remark::Rounded { name, key } => writeln!(text, "rounded {name}: {key}").unwrap(),
            Remark::LeftOut { name, key } => writeln!(text, "left out {name}: {key}").unwrap(),
        }
    }
    let said = Said { source: "LiteLLM".into(), as_of: "2026-11-21".into() };
    insta::assert_snapshot!(format!("{}\n{text}", imported.into_table(&said).to_yaml()));
}

#[test]
fn what_is_another_file_is_refused() {
    for (text, error) in [
        ("[]", ImportError::Form),
        ("{}", ImportError::Form),
        ("{\"a\": {\"price\": 1}}", ImportError::Form),
        ("{\"a\": 1}", ImportError::Form),
    ] {
        assert_eq!(import_litellm(text.as_bytes()), Err(error), "{text}");
    }
    assert!(matches!(import_litellm(b"models: {}"), Err(ImportError::Json(_))));
    let twice = "{\"a\": {\"litellm_provider\": \"x\", \"litellm_provider\": \"y\"}}";
    assert!(matches!(import_litellm(twice.as_bytes()), Err(ImportError::Json(_))));
}
