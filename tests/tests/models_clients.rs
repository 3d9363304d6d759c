//! The official clients of models work by base URL and key alone, and raise what they should.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use ringfence_tests::audit;
use ringfence_tests::models::{Scene, Sdk, Setup};
use serde_json::{Value, json};

/// What the model is told to do: to call the tool, and to say nine tokens once it has answered.
const WITH_TOOL: &str = "How is it? mock:tokens=9,chunks=3,tool=weather,args=city:Paris";

/// A name of each client for a call of the same kind.
fn word(sdk: Sdk, plain: bool) -> &'static str {
    match (sdk.is_openai, plain) {
        (true, true) => "chat",
        (true, false) => "chat_stream",
        (false, true) => "messages",
        (false, false) => "messages_stream",
    }
}

async fn works(sdk: Sdk) {
    let scene = Scene::start().await;
    for model in ["gpt", "claude"] {
        let ask = |what: &str, says: &str| json!({ "do": what, "model": model, "says": says });
        let (plain, streamed) = (word(sdk, true), word(sdk, false));
        let mut asks = vec![
            ask(plain, "mock:tokens=9"),
            ask(streamed, "mock:tokens=9,chunks=3"),
            ask("image", "mock:tokens=9"),
            ask("tools", WITH_TOOL),
            ask("tools_stream", WITH_TOOL),
        ];
        let is_own = sdk.is_openai == (model == "gpt");
        if is_own && sdk.is_openai {
            asks.extend([
                ask("responses", "mock:tokens=9"),
                ask("responses_stream", "mock:tokens=9,chunks=3"),
                ask("embeddings", "Hi"),
            ]);
        } else if is_own {
            asks.push(ask("count_tokens", "How many are these?"));
        }
        asks.push(ask("models", ""));
        let answers = sdk.run(&scene, &asks).await;
        for (ask, answer) in asks.iter().zip(&answers) {
            expect(sdk, ask, answer);
        }
    }
    let log = scene.settled().await;
    let seen = scene.seen().await;
    assert_eq!(log.bases(), ["reported".to_owned()].into(), "{:?}", log.calls);
    assert_eq!(seen.requests, log.calls.len() as u64);
    let output: u64 = log.calls.iter().map(|call| call.used("output")).sum();
    assert_eq!(output, seen.output);
}

#[track_caller]
fn expect(sdk: Sdk, ask: &Value, answer: &Value) {
    let at = format!("{} {ask}: {answer}", sdk.name);
    assert!(answer.get("raised").is_none(), "{at}");
    let words = || answer["text"].as_str().unwrap_or_default().split_whitespace().count();
    match ask["do"].as_str().unwrap() {
        "tools" | "tools_stream" => {
            let stop = if sdk.is_openai { "tool_calls" } else { "tool_use" };
            assert_eq!((&answer["tool"], &answer["city"]), (&json!("weather"), &json!("Paris")), "{at}");
            assert_eq!(answer["stop"], stop, "{at}");
            assert!(ask["do"] == "tools_stream" || words() == 9, "{at}");
        }
        "embeddings" => assert!(answer["vectors"] == 2 && answer["numbers"].as_u64() > Some(1), "{at}"),
        "count_tokens" => assert!(answer["tokens"].as_u64() > Some(0), "{at}"),
        "models" => {
            assert_eq!(*answer, json!({ "models": ["gpt", "claude"], "one": "gpt" }), "{at}");
        }
        what => {
            let stop = match what {
                "responses" | "responses_stream" => "completed",
                _ if sdk.is_openai => "stop",
                _ => "end_turn",
            };
            assert_eq!((words(), &answer["output"], &answer["stop"]), (9, &json!(9), &json!(stop)), "{at}");
        }
    }
}

#[tokio::test]
async fn openai_of_pypi() {
    works(Sdk::ALL[0]).await;
}

#[tokio::test]
async fn anthropic_of_pypi() {
    works(Sdk::ALL[1]).await;
}

#[tokio::test]
async fn openai_of_npm() {
    works(Sdk::ALL[2]).await;
}

#[tokio::test]
async fn anthropic_of_npm() {
    works(Sdk::ALL[3]).await;
}

/// Rules that deny one model and ask a person about another.
const RULES: &str = "\
rules:
  - { name: everything, match: {}, decision: ALLOW }
  - { name: not-this, match: { model: denied }, decision: DENY, reason: 'This model is not for you.' }
  - { name: asked, match: { model: asked }, decision: REQUIRE_APPROVAL }
";

fn refusing() -> Setup {
    let model = |name: &str, more: &str| {
        format!(
            "{name}: {{ provider: openai, model: {name}-mock, base_url: '{{url}}/v1', key: 'env:MOCK_KEY', \
             price: {{ input: 1, output: 10 }}, retries: 0{more} }}\n"
        )
    };
    // Its tokens are so dear that no budget here covers one.
    let dear = "dear: { provider: openai, base_url: '{url}/v1', key: 'env:MOCK_KEY', price: { input: 1, output: 1000000 } }\n";
    Setup {
        node: "approval_wait: 100ms".to_owned(),
        models: format!("{}{}{}{dear}", model("denied", ""), model("asked", ""), model("once", "")),
        holds: ", denied, asked, once, dear",
        policy: RULES.to_owned(),
        workspace: "budget: { usd: 5.00 }".to_owned(),
        ..Setup::default()
    }
}

/// What an ask is refused with: what is raised in Python by the clients, its status, its reason for programs and words of
/// the message.
struct Refusal {
    model: &'static str,
    raised: &'static str,
    status: u16,
    message: &'static str,
}

const REFUSALS: [Refusal; 4] = [
    Refusal { model: "dear", raised: "APIStatusError", status: 402, message: "budget of this workspace" },
    Refusal { model: "denied", raised: "PermissionDeniedError", status: 403, message: "not for you" },
    Refusal { model: "nobody", raised: "NotFoundError", status: 404, message: "holds no model" },
    Refusal { model: "asked", raised: "ConflictError", status: 409, message: "approval" },
];

async fn is_refused(sdk: Sdk) {
    let scene = Scene::start_with(refusing()).await;
    for plain in [true, false] {
        let asks = REFUSALS
            .map(|refusal| json!({ "do": word(sdk, plain), "model": refusal.model, "says": "mock:" }));
        let before = audit::entries(&scene.node, "refusal").await.len();
        let answers = sdk.run(&scene, &asks).await;
        for (refusal, answer) in REFUSALS.iter().zip(&answers) {
            let at = format!("{} {}: {answer}", sdk.name, refusal.model);
            // What Python calls an error with a status, Node calls an error.
            let base = ["APIStatusError", "APIError"];
            let kinds: Vec<&str> =
                answer["kinds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let is_it = |kind: &&str| {
                *kind == refusal.raised || base.contains(&refusal.raised) && base.contains(kind)
            };
            assert!(kinds.iter().any(is_it), "{at}");
            assert_eq!(answer["status"], refusal.status, "{at}");
            assert!(answer["message"].as_str().unwrap().contains(refusal.message), "{at}");
        }
        let refusals = audit::at_least(&scene.node, "refusal", before + asks.len()).await;
        assert_eq!(
            refusals.len() - before,
            asks.len(),
            "{}: nothing is tried again: {refusals:#?}",
            sdk.name
        );
    }
    assert_eq!(scene.seen().await.requests, 0);
}

#[tokio::test]
async fn openai_of_pypi_raises_what_it_should_and_does_not_try_again() {
    is_refused(Sdk::ALL[0]).await;
}

#[tokio::test]
async fn anthropic_of_pypi_raises_what_it_should_and_does_not_try_again() {
    is_refused(Sdk::ALL[1]).await;
}

#[tokio::test]
async fn openai_of_npm_raises_what_it_should_and_does_not_try_again() {
    is_refused(Sdk::ALL[2]).await;
}

#[tokio::test]
async fn anthropic_of_npm_raises_what_it_should_and_does_not_try_again() {
    is_refused(Sdk::ALL[3]).await;
}

#[tokio::test]
async fn a_429_with_retry_after_is_tried_again_by_the_clients() {
    let scene = Scene::start_with(refusing()).await;
    for sdk in Sdk::ALL {
        let before = scene.mock.stats().all.requests;
        let says =
            format!("mock:tokens=9,status=429,retry_after=1,times=1,id={}", sdk.name.replace(' ', "-"));
        let answers =
            sdk.run(&scene, &[json!({ "do": word(sdk, true), "model": "once", "says": says })]).await;
        assert_eq!(answers[0]["output"], 9, "{}: {answers:?}", sdk.name);
        assert_eq!(scene.seen().await.requests - before, 2, "{}", sdk.name);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_for_money_raises_with_the_reason() {
    let scene = Scene::start().await;
    for sdk in Sdk::ALL {
        let says = "mock:tokens=20000,chunks=4000,delay_ms=1,ignore_max";
        let mut ways = vec![(word(sdk, false), "gpt"), (word(sdk, false), "claude")];
        ways.extend(sdk.is_openai.then_some(("responses_stream", "gpt")));
        for (what, model) in ways {
            let token = scene.mint("assistant").await;
            let ask = json!({ "do": what, "model": model, "says": says, "most": 100, "token": token });
            let answers = sdk.run(&scene, &[ask]).await;
            let answer = &answers[0];
            let kinds: Vec<&str> = answer["kinds"]
                .as_array()
                .unwrap_or_else(|| panic!("{answer}"))
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert!(kinds.contains(&"APIError"), "{} {what}: {answer}", sdk.name);
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains("more than was set aside"), "{} {what}: {answer}", sdk.name);
        }
    }
}
