//! What models cost, as people are told, and prices that others publish.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use program::{Place, json, text};
use ringfence_json::Value;

const CONFIGURATION: &str = "organization: acme
prices: [ours.yaml]
workspaces:
  lab:
    models:
      smart: { provider: openai, model: gpt-5.1 }
      own: { provider: openai, model: qwen, base_url: 'http://127.0.0.1:1/v1', price: { input: 0.20, output: 0.60 } }
      listed: { provider: openai, model: house-1, base_url: 'http://127.0.0.1:1/v1' }
      auto: { route: [{ to: smart }] }
    agents: { a: { models: [auto, own, listed] } }
    policy: [safety-policy.yaml]
";

const OURS: &str = "source: a letter
as_of: 2026-11-01
models:
  house-1: { input: 0.5, output: 1.5, tiers: { flex: { input: 0.25, output: 0.75 } }, hosted: { web_search: 0.02 } }
  gpt-5: { input: 1.00, output: 8.00, context: 1000, above: [{ tokens: 500, input: 2, output: 9 }] }
";

const LIST: &str = r#"{
  "sample_spec": { "litellm_provider": "x", "mode": "chat" },
  "good": { "litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05 },
  "noise": { "litellm_provider": "x", "mode": "chat", "input_cost_per_token": 7.999999999999999e-07, "output_cost_per_token": 1e-05 },
  "pictures": { "litellm_provider": "x", "mode": "image_generation", "output_cost_per_image": 0.04 }
}"#;

fn place() -> Place {
    let place = Place::new();
    place.write("ringfence.yaml", CONFIGURATION);
    place.write("ours.yaml", OURS);
    place.write("safety-policy.yaml", program::POLICY);
    place
}

#[test]
fn what_would_be_charged_is_listed_the_first_that_counts_first() {
    let place = place();
    let listed = place.run(&["prices", "list", "--model", "*"]).expect(0).stdout;
    let names: Vec<&str> = listed.lines().skip(1).map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(
        names[..5],
        ["lab/smart (gpt-5.1)", "lab/own (qwen)", "lab/listed (house-1)", "house-1", "gpt-5"]
    );
    assert_eq!(names.iter().filter(|name| **name == "gpt-5").count(), 1, "a file counts before what ships");
    let few = place.run(&["prices", "list", "--model", "house*"]).expect(0).stdout;
    insta::assert_snapshot!(few);
    let lines = place.run(&["prices", "list", "--model", "own", "--json"]).expect(0).stdout;
    let own = json(&lines);
    assert_eq!((text(&own, "name"), text(&own, "source")), ("lab/own".into(), "ringfence.yaml".into()));
    assert_eq!(
        own.pointer("/price/input").and_then(Value::as_number).map(ringfence_json::Number::as_str),
        Some("0.20")
    );
    let none = place.run(&["prices", "list", "--model", "nobody*"]).expect(0);
    assert_eq!(none.stdout, "no model of that name has a price\n");
}

#[test]
fn a_price_is_shown_whole_and_an_unknown_one_is_no() {
    let place = place();
    let mut all = String::new();
    for name in ["house-1", "lab/listed", "gpt-5", "own"] {
        all.push_str(&place.run(&["prices", "show", name]).expect(0).stdout);
        all.push('\n');
    }
    insta::assert_snapshot!(all);
    let dated = place.run(&["prices", "show", "gpt-5.1-2025-11-13", "--json"]).expect(0).json();
    assert_eq!(text(&dated, "name"), "gpt-5.1");
    let said = place.run(&["prices", "show", "house-2"]).expect(1);
    assert!(said.stderr.contains("did you mean `house-1`?"), "{}", said.stderr);
    place.run(&["prices", "show", "house-1-2025-11-13"]).expect(1);
}

#[test]
fn prices_that_ship_are_shown_without_a_configuration() {
    let place = Place::new();
    let listed = place.run(&["prices", "list", "--model", "gpt-5.1"]).expect(0).stdout;
    assert!(listed.contains("shipped: openai") && listed.contains("1.25"), "{listed}");
    place.run(&["prices", "list", "-c", "none.yaml"]).expect(2);
    place.write("ringfence.yaml", "organization: acme\n");
    let said = place.run(&["prices", "list", "--model", "gpt-5.1"]).expect(0);
    assert!(said.stderr.contains("only prices that ship") && said.stdout.contains("1.25"), "{}", said.stderr);
    place.run(&["prices", "list", "-c", "ringfence.yaml"]).expect(2);
}

#[test]
fn a_published_list_is_taken_in_and_counts() {
    let place = place();
    place.write("list.json", LIST);
    let said = place.run(&["prices", "import", "list.json", "--as-of", "2026-11-20"]).expect(0);
    insta::assert_snapshot!(said.stdout);
    let written = std::fs::read_to_string(place.path().join("prices.yaml")).unwrap();
    insta::assert_snapshot!(written);
    // It is a file that the configuration takes.
    place.write(
        "ringfence.yaml",
        &CONFIGURATION
            .replace("[ours.yaml]", "[ours.yaml, prices.yaml]")
            .replace("model: qwen", "model: good")
            .replace(", price: { input: 0.20, output: 0.60 }", ""),
    );
    place.run(&["check"]).expect(0);
    let shown = place.run(&["prices", "show", "lab/own", "--json"]).expect(0).json();
    assert_eq!(text(&shown, "as_of"), "2026-11-20");
}

#[test]
fn an_import_writes_over_nothing_unless_it_is_told_to() {
    let place = place();
    place.write("list.json", LIST);
    place.write("prices.yaml", "mine");
    let said = place.run(&["prices", "import", "list.json"]).expect(2);
    assert!(
        said.stderr.contains("prices.yaml is there already") && said.stderr.contains("--force"),
        "{}",
        said.stderr
    );
    assert_eq!(std::fs::read_to_string(place.path().join("prices.yaml")).unwrap(), "mine");
    let told = place.run(&["prices", "import", "list.json", "--force", "--json"]).expect(0).json();
    assert_eq!(told.get("models").and_then(Value::as_u64), Some(2));
    assert_eq!(told.pointer("/skipped/0/model").and_then(Value::as_str), Some("pictures"));
    assert_eq!(told.pointer("/rounded/0/price").and_then(Value::as_str), Some("input_cost_per_token"));
    assert!(std::fs::read_to_string(place.path().join("prices.yaml")).unwrap().contains("noise"));
    let one = place.run(&["prices", "import", "list.json", "-o", "-", "--model", "good"]).expect(0).stdout;
    assert!(one.contains("good:") && !one.contains("noise"), "{one}");
    for (list, code) in [("ours.yaml", 2), ("none.json", 2)] {
        place.run(&["prices", "import", list, "-o", "new.yaml"]).expect(code);
    }
    place.run(&["prices", "import", "list.json", "-o", "new.yaml", "--model", "pictures"]).expect(1);
    assert!(!place.path().join("new.yaml").exists(), "nothing was taken in, and something written");
    let left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}
