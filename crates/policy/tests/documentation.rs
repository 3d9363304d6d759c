//! What the reference says by example, holds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Call, object, policy};
use ringfence_types::Decision;

/// The first YAML example of `docs/policy.md`.
fn example() -> &'static str {
    let text = include_str!("../../../docs/policy.md");
    text.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0
}

#[test]
fn the_first_example_of_the_reference_behaves_as_the_text_says() {
    let policy = policy(example());
    let verdict = Call::with(r#"{"replicas":50,"namespace":"app"}"#).decide(&policy);
    assert_eq!(verdict.decision, Decision::RequireApproval);
    assert_eq!(verdict.arguments.unwrap(), object(r#"{"replicas":10,"namespace":"app"}"#));
    assert!(verdict.shadowed.is_empty());
    let intern =
        Call { roles: vec!["intern".parse().unwrap()], ..Call::with(r#"{"replicas":5,"namespace":"app"}"#) };
    let verdict = intern.decide(&policy);
    assert_eq!((verdict.decision, verdict.shadowed.len()), (Decision::RequireApproval, 1));
}
