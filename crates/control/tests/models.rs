//! What `ringfence.yaml` takes about models, prices, budgets and loops, and what it says of everything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

use std::path::Path;
use std::time::Duration;

use ringfence_control::config::{
    Config, Loaded, LoopsConfig, ModelApi, ProviderConfig, Rejected, ServedConfig, WorkspaceConfig, load_text,
};
use ringfence_document::render;
use ringfence_prices::Tokenizer;
use ringfence_types::{Budget, Money, Window};

const POLICY: &str = "rules:\n  - name: all\n    match: {}\n    decision: ALLOW\n";

const PRICES: &str = "source: https://models.internal/prices
as_of: 2026-11-21
models:
  house-model: { input: 0.5, output: 1.5, context: 64000, max_output: 4000, tokenizer: cl100k }
  gpt-4o: { input: 2.00, output: 8.00 }
";

/// Files beside the configuration.
const BESIDE: [(&str, &str); 5] = [
    ("papers", ""),
    ("safety-policy.yaml", POLICY),
    ("prices.yaml", PRICES),
    ("bad.yaml", "source: us\nas_of: soon\nmodels:\n  x: { input: 1 }\n"),
    ("old.yaml", "source: us\nas_of: 2020-02-29\nmodels:\n  relic: { input: 1, output: 1 }\n"),
];

fn read(text: &str) -> Result<Loaded, Rejected> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in BESIDE {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text.to_owned())
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|rejected| panic!("{}", rejected.render())).config
}

/// The warnings, but for those about the age of the prices that ship: a test does not grow old.
fn warnings(text: &str) -> String {
    let loaded = read(text).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let grows_old = |message: &str| message.starts_with("the price of") && !message.contains("2020");
    let told = loaded.warnings.iter().filter(|said| !grows_old(&said.message));
    told.map(|said| render(said, text)).collect::<Vec<_>>().join("\n")
}

fn with_models(models: &str) -> String {
    format!(
        "organization: acme\nworkspaces:\n  research:\n    models:\n{models}    agents: {{ a: {{}} }}\n    policy: safety-policy.yaml\n"
    )
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn served<'w>(workspace: &'w WorkspaceConfig, name: &str) -> &'w ServedConfig {
    workspace.model(name).and_then(|model| model.served.as_deref()).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn everything_that_can_be_written_of_a_model_is_read() {
    let config = config(include_str!("models.yaml"));
    let research = config.workspace("research").unwrap();
    let fast = served(research, "fast");
    let ProviderConfig::Anthropic(endpoint) = &fast.provider else { panic!("another provider") };
    assert_eq!(endpoint.base_url.to_string(), "https://api.anthropic.com/");
    assert_eq!(endpoint.headers[0].0, "anthropic-beta");
    assert!(endpoint.key.as_ref().unwrap().to_string().ends_with("/anthropic.key"));
    assert!(fast.pass_unknown);
    assert_eq!((fast.max_output, fast.floor, fast.output_most), (4096, 64, Some(64_000)));
    assert_eq!((fast.context, fast.image_tokens), (Some(100_000), Some(1000)));
    assert_eq!((fast.tokenizer, fast.concurrent, fast.retries), (Tokenizer::Cl100k, 8, 0));
    assert_eq!((fast.timeout, fast.first_token), (Duration::from_mins(2), Duration::from_secs(20)));
    assert_eq!((fast.breaker_failures, fast.breaker_open_for), (3, Duration::from_mins(1)));
    let cache = fast.cache.unwrap();
    assert!(cache.tools && cache.ttl == Duration::from_hours(1));
    let auto = research.model("auto").unwrap();
    assert!(auto.served.is_none());
    let [draft, poor, rest] = &auto.route[..] else { panic!("three rules") };
    assert_eq!(
        (draft.when.input_below, draft.when.tools, draft.when.images),
        (Some(4000), Some(false), Some(false))
    );
    assert_eq!(draft.when.labels, ["draft", "cheap"]);
    assert_eq!((poor.when.input_above, poor.when.budget_below_percent), (Some(4000), Some(20)));
    assert!(rest.when.is_always() && rest.to.as_str() == "smart");
}

#[test]
fn files_stand_in_for_providers_and_record_them() {
    let config = config(include_str!("models.yaml"));
    let research = config.workspace("research").unwrap();
    let ProviderConfig::Scripted { script } = &served(research, "said").provider else { panic!("another") };
    assert!(script.is_absolute() && script.ends_with("answers.yaml"));
    let ProviderConfig::Replay { api, record, .. } = &served(research, "again").provider else {
        panic!("another")
    };
    assert_eq!((*api, record), (ModelApi::Anthropic, &None));
    let ProviderConfig::Replay { api, record, .. } = &served(research, "once").provider else {
        panic!("another")
    };
    assert_eq!((*api, record.as_ref().unwrap().key.is_some()), (ModelApi::OpenAi, true));
}

#[test]
fn a_price_is_the_models_own_or_a_files_or_the_one_that_ships() {
    let config = config(include_str!("models.yaml"));
    let research = config.workspace("research").unwrap();
    for (name, input, output, source) in [
        ("smart", "1.25", "10", "https://developers.openai.com/api/docs/pricing via LiteLLM 1.109.1"),
        ("fast", "1", "5", "https://platform.claude.com/docs/en/about-claude/pricing via LiteLLM 1.109.1"),
        ("own", "0.20", "0.60", "ringfence.yaml"),
        ("listed", "0.5", "1.5", "https://models.internal/prices"),
        ("like", "2", "8", "https://models.internal/prices"),
        ("free", "0", "0", "ringfence.yaml"),
        ("deep", "0.3", "1.2", "https://api-docs.deepseek.com/quick_start/pricing via LiteLLM 1.109.1"),
        ("stands", "1", "5", "https://platform.claude.com/docs/en/about-claude/pricing via LiteLLM 1.109.1"),
        ("once", "1.25", "10", "https://developers.openai.com/api/docs/pricing via LiteLLM 1.109.1"),
    ] {
        let price = &served(research, name).price;
        let base = &price.standard.base;
        assert_eq!(
            (base.input, base.output, price.source.as_str()),
            (money(input), money(output), source),
            "{name}"
        );
    }
    let own = &served(research, "own").price;
    assert_eq!(
        (own.standard.base.cached_input, own.standard.base.cache_write),
        (money("0.05"), money("0.20"))
    );
    assert_eq!(own.standard.steps[0].1.output, money("1.2"));
    assert_eq!((own.tiers.len(), own.hosted[0].1, own.as_of.as_str()), (1, money("0.01"), ""));
    let listed = served(research, "listed");
    assert_eq!(
        (listed.context, listed.max_output, listed.tokenizer),
        (Some(64_000), 4000, Tokenizer::Cl100k)
    );
    assert_eq!(config.prices[0].table.entries().len(), 2);
}

#[test]
fn budgets_and_loops_are_read() {
    let config = config(include_str!("models.yaml"));
    let research = config.workspace("research").unwrap();
    let budget = |usd: Option<&str>, tokens, per| Budget { usd: usd.map(money), tokens, per };
    assert_eq!(
        research.budget,
        [
            budget(Some("200"), None, Some(Window::Day)),
            budget(Some("3000"), Some(5_000_000_000), Some(Window::Month))
        ]
    );
    assert_eq!(research.budgets.agent, [budget(Some("100"), None, Some(Window::Hour))]);
    assert_eq!(research.budgets.user[1], budget(None, Some(1_000_000), None));
    assert_eq!(research.budgets.conversation, [budget(Some("50"), None, None)]);
    let [assistant, other, plain] = &research.agents[..] else { panic!("three agents") };
    assert_eq!((assistant.budget.usd, assistant.budget.tokens), (Some(money("5.5")), Some(2_000_000)));
    assert_eq!((assistant.limits.actions, assistant.limits.model_calls), (Some(500), Some(20)));
    assert_eq!(assistant.limits.loops, LoopsConfig { stale: Some(4), failing: None, errors: Some(1) });
    assert_eq!((assistant.models.len(), &assistant.hosted_tools[..]), (9, &["web_search".into()][..]));
    assert_eq!((other.budget.usd, other.budget.tokens, other.limits.model_calls), (None, None, None));
    assert_eq!((plain.budget.usd, plain.limits.model_calls), (Some(money("10")), Some(200)));
    assert_eq!(plain.limits.loops, LoopsConfig { stale: Some(8), failing: Some(5), errors: Some(5) });
}

#[test]
fn what_is_not_written_of_a_model_has_a_safe_default() {
    let config = config(&with_models("      gpt-5.1: { provider: openai }\n"));
    let model = served(&config.workspaces[0], "gpt-5.1");
    let ProviderConfig::OpenAi(endpoint) = &model.provider else { panic!("another provider") };
    assert_eq!(
        (endpoint.base_url.to_string().as_str(), model.model.as_str()),
        ("https://api.openai.com/v1", "gpt-5.1")
    );
    assert!(!model.pass_unknown && model.cache.is_none());
    assert_eq!((model.max_output, model.floor, model.concurrent, model.retries), (8192, 256, 64, 2));
    assert_eq!((model.timeout, model.first_token), (Duration::from_mins(10), Duration::from_mins(1)));
    assert_eq!((model.breaker_failures, model.breaker_open_for), (5, Duration::from_secs(30)));
    assert_eq!((model.context, model.tokenizer), (Some(272_000), Tokenizer::O200k));
    // What a model cannot write is not its default, and a short call has no longer wait for its first token.
    let config = self::config(&with_models(
        "      ada: { provider: openai, model: x, price: free, max_output: 100, timeout: 5s }\n",
    ));
    let model = served(&config.workspaces[0], "ada");
    assert_eq!((model.max_output, model.floor, model.first_token), (100, 100, Duration::from_secs(5)));
    assert_eq!(model.tokenizer, Tokenizer::Bytes);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_place_and_nearest_word() {
    let rejected = read(include_str!("models_mistakes.yaml")).expect_err("it was taken");
    let said = rejected.render();
    assert!(!said.contains("me:secret"), "{said}");
    assert!(!said.contains("hunter2") && !format!("{rejected:?}").contains("hunter2"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn what_a_reader_would_miss_is_said() {
    insta::assert_snapshot!(warnings(include_str!("models_remarks.yaml")));
    // Of a file that says all there is to say, nothing but what it does not say.
    let whole = warnings(include_str!("models.yaml"));
    assert_eq!(whole, "", "{whole}");
}

#[test]
fn a_hosted_tool_whose_uses_nothing_bounds_cannot_be_held() {
    let text = include_str!("models_remarks.yaml").replace("computer", "code_execution");
    let shown = read(&text).expect_err("it could never be used").render();
    assert!(shown.contains("cannot hold the hosted tool `code_execution`"), "{shown}");
}

#[test]
fn an_unpriced_model_is_refused_and_told_the_way_out() {
    for (model, said) in [
        ("{ provider: openai, model: qwen }", "`qwen` is not known"),
        ("{ provider: openai, model: gpt-5.1-turbo }", "did you mean `gpt-5.1`?"),
        ("{ provider: anthropic, model: gpt-5.1 }", "`gpt-5.1` is not known"),
        ("{ provider: openai, model: claude-haiku-4-5 }", "`claude-haiku-4-5` is not known"),
        (
            "{ provider: openai, model: gpt-5.1, base_url: 'https://api.deepseek.com' }",
            "`gpt-5.1` is not known",
        ),
        ("{ provider: scripted, script: x }", "the one it stands for"),
        ("{ provider: openai, model: gpt-5.1, price: {} }", "a price needs `input`"),
        ("{ provider: openai, model: gpt-5.1, price: }", "a price must be `free` or a mapping"),
    ] {
        let rejected = read(&with_models(&format!("      m: {model}\n"))).expect_err(model);
        let shown = rejected.render();
        assert!(shown.contains(said) && shown.contains("price"), "{model}: {shown}");
    }
}

#[test]
fn the_texts_of_price_files_are_shown_digested_and_watched() {
    let text = include_str!("models.yaml");
    let loaded = read(text).unwrap();
    let names: Vec<&str> = loaded.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[1].ends_with("prices.yaml"), "{names:?}");
    assert_eq!(Path::new(names[0]), Path::new("ringfence.yaml"));
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in BESIDE {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let load =
        || load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text.to_owned()).unwrap();
    let before = load().digest;
    assert_eq!(load().digest, before);
    std::fs::write(folder.path().join("prices.yaml"), PRICES.replace("1.5", "1.6")).unwrap();
    assert_ne!(load().digest, before);
}

/// The blocks of YAML in a page of the documentation.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_examples_of_the_documentation_are_taken() {
    let page = blocks(include_str!("../../../docs/configuration.md"));
    let [whole, price, route, ..] = &page[..] else { panic!("three blocks") };
    let hash = format!("sha256:{}", "ab".repeat(32));
    let config = config(&whole.replace("sha256:…", &hash));
    assert_eq!(config.workspaces[0].models.len(), 4);
    let indented = |block: &str, by: &str| {
        let lines: Vec<String> = block.lines().map(|line| format!("{by}{line}\n")).collect();
        lines.concat()
    };
    let model = format!("      m:\n        provider: openai\n{}", indented(price, "        "));
    let taken = self::config(&with_models(&model));
    assert_eq!(served(&taken.workspaces[0], "m").price.tiers.len(), 1);
    let free = "{ provider: openai, base_url: 'http://127.0.0.1/', price: free }";
    let models = format!("      smart: {free}\n      fast: {free}\n      own: {free}\n");
    let route = indented(route, "      ");
    let taken = self::config(&with_models(&format!("{models}{route}")));
    assert_eq!(taken.workspaces[0].model("auto").unwrap().route.len(), 3);
    let [prices] = blocks(include_str!("../../../docs/prices.md"))[..] else { panic!("one block") };
    let table = ringfence_prices::Table::parse("prices.yaml", prices).unwrap();
    assert!(table.find("house-large-2026-11-01").is_some() && table.entries().len() == 3);
}
