//! What is said of configurations that are nearly right: each error tells what to write instead, and none misleads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

use ringfence_control::config::{Loaded, Rejected, load_text};
use ringfence_control::explain::decide;
use ringfence_control::{check_scripts, compile};
use ringfence_json::{Limits, parse};

const POLICY: &str = "rules:\n  - name: all\n    match: {}\n    decision: ALLOW\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("safety-policy.yaml"), POLICY).unwrap();
    folder
}

fn read(text: &str) -> Result<Loaded, Rejected> {
    load_text("ringfence.yaml", &folder().path().join("ringfence.yaml"), text.to_owned())
}

/// A workspace with these models and this besides.
fn with(models: &str, rest: &str) -> String {
    let models: String = models.lines().flat_map(|line| ["      ", line, "\n"]).collect();
    format!(
        "organization: acme\nworkspaces:\n  lab:\n    models:\n{models}      own: {{ provider: openai, model: gpt-5.1 }}\n    \
         agents: {{ a: {{ models: [own] }} }}\n    policy: safety-policy.yaml\n{rest}"
    )
}

/// What is said of models that cannot be used.
fn said(models: &str) -> String {
    read(&with(models, "")).expect_err(models).render()
}

#[test]
fn what_has_another_shape_is_told_the_right_one() {
    for (model, part) in [
        ("m: { provider: openai, model: gpt-5.1, cache: true }", "write `cache: { ttl: 1h }`"),
        ("m: { provider: openai, model: gpt-5.1, cache: 30m }", "write `cache: { ttl: 30m }`"),
        ("m: { provider: openai, model: gpt-5.1, cache: {} }", "write `cache: { ttl: 1h }`"),
        ("m: { route: { to: own } }", "write `route: [{ when:"),
        ("m: { route: [own] }", "write `{ to: own }`"),
        ("m: { route: [{ when: { budget_below: 0.2 }, to: own }] }", "write `20%`"),
        ("m: { route: [{ when: { budget_below: .05 }, to: own }] }", "write `5%`"),
        ("m: { route: [{ when: { budget_below: 35 }, to: own }] }", "write `35%`"),
        ("m: { route: [{ when: { budget_below: 2.5 }, to: own }] }", "write `20%`"),
        ("m: { provider: openai, price: { input: 1 } }", "write `price: { input: 1.25, output: 10.00 }`"),
        ("m:\n  provider: openai\n  price: 0,20", "decimals with a point"),
        ("m: { provider: openai, price: 0.20 }", "price: { input: 0.20, output: 0.80 }"),
        ("m: { provider: openai, price: { input: 0,20, output: 1 } }", "decimals with a point, such as 0.20"),
        (
            "m: { provider: vllm, model: x }",
            "`provider: openai` or `provider: anthropic` with its `base_url`",
        ),
        ("m: { provider: opnai, model: x }", "did you mean `openai`?"),
        ("m: { provider: openai, url: x }", "here it is called `base_url`"),
        ("m: { provider: openai, api_key: x }", "here it is called `key`"),
    ] {
        let said = said(model);
        assert!(said.contains(part), "{model}: {said}");
    }
    for (rest, part) in [
        ("    budget: 200\n", "write `{ usd: 20.00, per: day }`"),
        ("    budgets: 200\n", "write `{ agent: { usd: 20.00, per: day } }`"),
    ] {
        let said = read(&with("", rest)).expect_err(rest).render();
        assert!(said.contains(part), "{rest}: {said}");
    }
    let agent = with("", "").replace("models: [own] }", "models: [own], budget: 200 }");
    let said = read(&agent).expect_err("it is no budget").render();
    assert!(said.contains("write `{ usd: 10.00, tokens: 2000000 }`"), "{said}");
}

#[test]
fn one_mistake_is_one_error() {
    for model in [
        "m: { route: [{ when: { input_under: 4000 }, to: own }] }",
        "m: { route: [own] }",
        "m: { route: { to: own } }",
        "m: { provider: openai, model: gpt-5.1, cache: true }",
    ] {
        let rejected = read(&with(model, "")).expect_err(model);
        assert_eq!(rejected.errors(), 1, "{model}: {}", rejected.render());
    }
    assert!(said("m: { route: [{ when: {}, to: own }] }").contains("`when` says nothing"));
}

#[test]
fn an_address_without_its_scheme_is_told_with_it() {
    for (url, part) in [
        ("127.0.0.1:8000/v1", "write `http://127.0.0.1:8000/v1`"),
        ("localhost:11434/v1", "write `http://localhost:11434/v1`"),
        ("models.internal/v1", "write `https://models.internal/v1`"),
        ("ftp://models.internal", "such as https://models.example.com/v1"),
    ] {
        let said = said(&format!("m: {{ provider: openai, price: free, base_url: \"{url}\" }}"));
        assert!(said.contains(part) && !said.contains("mcp"), "{url}: {said}");
    }
    let server = with("", "    tools: { s: { url: \"mcp\\\\x\" } }\n");
    let said = read(&server).expect_err("it is no URL").render();
    assert!(said.contains("such as https://mcp.example.com/mcp"), "{said}");
}

#[test]
fn nothing_is_suggested_that_is_not_in_this_version() {
    let text = with("", "telemetri: x\n");
    let said = read(&text).expect_err("there is no such key").render();
    assert!(said.contains("unknown key `telemetri`") && !said.contains("`telemetry`"), "{said}");
    assert!(!said.contains("vault") && !said.contains("alerts"), "{said}");
    let said = read(&with("", "telemetry: x\n")).expect_err("it comes later").render();
    assert!(said.contains("`telemetry` is not in this version"), "{said}");
}

#[test]
fn a_secret_behind_a_key_that_is_none_is_not_shown() {
    for model in [
        "m:\n  provider: openai\n  api_key: sk-hunter2",
        "m: { provider: openai, model: gpt-5.1, openai_token: sk-hunter2 }",
        // Nor by another error on that line.
        "m: { provider: vllm, apiKey: sk-hunter2, retries: 99 }",
    ] {
        let said = said(model);
        assert!(said.contains("unknown key") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_budget_of_nothing_is_pointed_out() {
    let warnings = |text: &str| {
        let loaded = read(text).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
        let messages = loaded.warnings.into_iter().map(|said| said.message);
        messages.filter(|message| message.contains("a budget of no money")).count()
    };
    let agent = with("", "").replace("models: [own] }", "models: [own], budget: { usd: 0 } }");
    assert_eq!(warnings(&agent), 1);
    assert_eq!(warnings(&agent.replace("usd: 0 ", "usd: off ")), 0);
    assert_eq!(warnings(&with("", "    budget: { usd: 0.00, per: day }\n")), 1);
    assert_eq!(warnings(&with("", "    budget: { usd: 0.01, per: day }\n")), 0);
}

#[test]
fn a_price_can_be_that_of_another_model_of_the_workspace() {
    let text = with(
        "a: { provider: openai, base_url: \"http://127.0.0.1:1/v1\", price: b }
b: { provider: openai, base_url: \"http://127.0.0.1:1/v1\", price: c }
c: { provider: openai, base_url: \"http://127.0.0.1:1/v1\", price: { input: 3, output: 4 } }
d: { provider: openai, base_url: \"http://127.0.0.1:1/v1\", price: own }
e: { provider: scripted, script: x.yaml, price: own }",
        "",
    );
    let loaded = read(&text).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let lab = &loaded.config.workspaces[0];
    let price = |name: &str| {
        let model = lab.models.iter().find(|model| model.name.as_str() == name).unwrap();
        let rates = &model.served.as_ref().unwrap().price.standard.base;
        (rates.input.to_string(), rates.output.to_string())
    };
    for name in ["a", "b", "c"] {
        assert_eq!(price(name), ("3.00".to_owned(), "4.00".to_owned()), "{name}");
    }
    for name in ["d", "e"] {
        assert_eq!(price(name), price("own"), "{name}");
    }
}

#[test]
fn a_price_that_leads_nowhere_is_an_error() {
    let at = "provider: openai, base_url: \"http://127.0.0.1:1/v1\"";
    let circle = said(&format!("a: {{ {at}, price: b }}\nb: {{ {at}, price: c }}\nc: {{ {at}, price: b }}"));
    assert!(circle.contains("`price` goes round in a circle: b → c → b"), "{circle}");
    let itself = said(&format!("a: {{ {at}, price: a }}"));
    assert!(itself.contains("`price` goes round in a circle: a → a"), "{itself}");
    let unknown = said(&format!("a: {{ {at}, price: qwen }}"));
    assert!(
        unknown.contains("no price is known for `qwen`") && unknown.contains("by the provider's name"),
        "{unknown}"
    );
    let near = said(&format!("a: {{ {at}, price: onw }}"));
    assert!(near.contains("did you mean `own`?"), "{near}");
    let far = said(&format!("a: {{ {at}, price: c }}"));
    assert!(!far.contains("did you mean `a`"), "a model's own name leads round in a circle: {far}");
    let route = said(&format!("a: {{ {at}, price: r }}\nr: {{ route: [{{ to: own }}] }}"));
    assert!(route.contains("no price is known for `r`"), "{route}");
}

#[test]
fn a_file_of_answers_that_is_not_there_is_an_error_at_its_line() {
    let folder = folder();
    let checked = |models: &str| {
        let path = folder.path().join("ringfence.yaml");
        let loaded = load_text("ringfence.yaml", &path, with(models, "")).unwrap();
        compile(loaded, &[]).and_then(check_scripts).map(drop).map_err(|rejected| rejected.render())
    };
    let scripted = "m:\n  provider: scripted\n  price: free\n  script: answers.yaml";
    let said = checked(scripted).unwrap_err();
    assert!(
        said.contains("ringfence.yaml:8:17") && said.contains("answers.yaml") && said.contains("os error 2"),
        "{said}"
    );
    let replayed = "m:\n  provider: replay\n  price: free\n  recording: session.jsonl";
    let said = checked(replayed).unwrap_err();
    assert!(
        said.contains("ringfence.yaml:8:20")
            && said.contains("there is no recording")
            && said.contains("record: true"),
        "{said}"
    );
    std::fs::write(folder.path().join("answers.yaml"), "rules: [{ sya: x }]\n").unwrap();
    std::fs::write(folder.path().join("session.jsonl"), "no exchange\n").unwrap();
    let said = checked(scripted).unwrap_err();
    assert!(said.contains("answers.yaml:1:") && said.contains("did you mean `say`?"), "{said}");
    let said = checked(replayed).unwrap_err();
    assert!(said.contains("session.jsonl:1: "), "{said}");
    std::fs::write(folder.path().join("answers.yaml"), "rules: [{ say: x }]\n").unwrap();
    std::fs::write(folder.path().join("session.jsonl"), "").unwrap();
    assert_eq!((checked(scripted), checked(replayed)), (Ok(()), Ok(())));
    // What is to be recorded need not be there.
    std::fs::remove_file(folder.path().join("session.jsonl")).unwrap();
    let recorded = format!("{replayed}\n  record: true\n  base_url: \"http://127.0.0.1:1/v1\"");
    assert_eq!(checked(&recorded), Ok(()));
}

#[test]
fn the_rules_for_models_in_the_documents_fit_every_kind_of_call() {
    let document = include_str!("../../../docs/models.md");
    let shown = document.split("```").find(|part| part.contains("max_max_output_tokens")).unwrap();
    let rules = shown.trim_start_matches("yaml\n").replace("- {", "  - {");
    let folder = folder();
    std::fs::write(folder.path().join("safety-policy.yaml"), format!("rules:\n{rules}")).unwrap();
    let loaded = load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), with("", ""));
    let compiled = compile(loaded.unwrap_or_else(|rejected| panic!("{}", rejected.render())), &[]).unwrap();
    for (operation, arguments, expected) in [
        ("chat", r#"{"max_output_tokens":9000,"n":1}"#, "ALLOW_WITH_CONSTRAINTS"),
        ("responses", r#"{"max_output_tokens":9000,"n":1}"#, "ALLOW_WITH_CONSTRAINTS"),
        ("messages", r#"{"max_output_tokens":9000,"n":1}"#, "ALLOW_WITH_CONSTRAINTS"),
        ("embeddings", r#"{"input_bytes":5}"#, "ALLOW"),
        ("count_tokens", r#"{"input_bytes":5}"#, "ALLOW"),
    ] {
        let call = format!(
            r#"{{"workspace":"lab","agent":"a","model":"own","operation":"{operation}","arguments":{arguments}}}"#
        );
        let call = parse(call.as_bytes(), &Limits::default()).unwrap().into_object().unwrap();
        let verdict = decide(&compiled, &[], &call).unwrap();
        assert_eq!(verdict.decision.as_str(), expected, "{operation}: {}", verdict.reason);
    }
}
