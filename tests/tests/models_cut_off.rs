//! What ends model calls from above: suspensions, deadlines, rules and people.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::fmt::Write as _;

use ringfence_tests::audit;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http::OpenAnswer;
use ringfence_tests::models::{Answered, Api, Ask, INPUT_NANOS, OUTPUT_NANOS, Scene, Setup, talk};
use ringfence_tests::patience::{eventually, within};
use ringfence_tests::upstream::text;
use serde_json::{Value, json};

const BUDGET_NANOS: u64 = 10_000_000_000;

/// A stream that would go on for minutes.
const ENDLESS: &str = "mock:tokens=100000,chunks=100000,delay_ms=2,flush";

fn endless(api: Api, model: &str) -> Ask {
    let member = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
    Ask::new(api, model, ENDLESS).streamed().with(member, 100_000)
}

/// Every API with every model of it.
fn ways() -> Vec<(Api, &'static str)> {
    Api::ALL.into_iter().flat_map(|api| api.models().iter().map(move |model| (api, *model))).collect()
}

/// A stream in every way, each of which has begun.
async fn under_way(scene: &Scene) -> Vec<(Api, OpenAnswer)> {
    let mut all = Vec::new();
    for (api, model) in ways() {
        let mut opened = endless(api, model).open(&scene.node, &scene.token).await.unwrap();
        for _ in 0..5 {
            within(EFFECT, "an event", opened.event()).await.unwrap().unwrap();
        }
        all.push((api, opened));
    }
    all
}

/// Expects each of the streams to end with this reason, in the words of its API, and the provider to be left alone.
async fn expect_ended(scene: &Scene, streams: Vec<(Api, OpenAnswer)>, code: &str) {
    let count = streams.len() as u64;
    for (api, opened) in streams {
        let answered = within(EFFECT, "the end of the stream", Answered::read(opened)).await;
        assert!(!answered.is_complete(api), "{api:?} ended as if nothing had happened");
        let error = answered.error(api);
        assert_eq!(error["ringfence"]["code"], code, "{api:?}: {error}");
    }
    eventually(EFFECT, "the provider is let go", async || {
        let stats = scene.mock.stats();
        (stats.running == 0 && stats.all.cut_by_client == count).then_some(())
    })
    .await;
    let (seen, log) = (scene.seen().await, scene.settled().await);
    assert!(log.spent() >= seen.input * INPUT_NANOS + seen.output * OUTPUT_NANOS);
    assert!(log.calls.iter().all(|call| call.status() == "cancelled" && call.charged() < call.reserved));
}

async fn suspension_ends(scope: &[&str]) {
    let scene = Scene::start_with(Setup::budget("10.00")).await;
    let streams = under_way(&scene).await;
    let mut command = vec!["suspend"];
    command.extend(scope);
    command.extend(["--reason", "Something is wrong.", "--json"]);
    let id = text(&scene.node.cli(&command).await.expect(0).json(), "id");
    expect_ended(&scene, streams, "suspended").await;
    for (api, model) in ways() {
        let refused = talk(&scene.node, &scene.token, &Ask::new(api, model, "mock:")).await;
        assert_eq!(refused.status, 403, "{api:?}: {}", refused.text);
        let message = refused.error(api)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("Something is wrong."), "{api:?}: {message}");
        assert_eq!(refused.header("x-should-retry"), "false");
    }
    scene.node.cli(&["resume", &id]).await.expect(0);
    for (api, model) in ways() {
        let answered = talk(&scene.node, &scene.token, &Ask::new(api, model, "mock:tokens=2")).await;
        assert_eq!(answered.status, 200, "{api:?}: {}", answered.text);
    }
    scene.expect_left(BUDGET_NANOS).await;
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_suspended_agent_loses_its_streams() {
    suspension_ends(&["--agent", "assistant"]).await;
}

#[tokio::test]
async fn a_suspended_workspace_loses_its_streams() {
    suspension_ends(&["-w", "lab"]).await;
}

#[tokio::test]
async fn everything_loses_its_streams() {
    suspension_ends(&["--all"]).await;
}

#[tokio::test]
async fn a_suspended_model_loses_its_streams_and_the_other_does_not() {
    let scene = Scene::start().await;
    let mut of_gpt = endless(Api::Chat, "gpt").open(&scene.node, &scene.token).await.unwrap();
    let mut of_claude = endless(Api::Chat, "claude").open(&scene.node, &scene.token).await.unwrap();
    for opened in [&mut of_gpt, &mut of_claude] {
        within(EFFECT, "an event", opened.event()).await.unwrap().unwrap();
    }
    let suspend = ["suspend", "-w", "lab", "--model", "claude", "--reason", "Something is wrong."];
    scene.node.cli(&suspend).await.expect(0);
    let ended = within(EFFECT, "the end of the stream", Answered::read(of_claude)).await;
    assert_eq!(ended.error(Api::Chat)["ringfence"]["code"], "suspended");
    for _ in 0..20 {
        within(EFFECT, "the other goes on", of_gpt.event()).await.unwrap().unwrap();
    }
    for (model, status) in [("gpt", 200), ("claude", 403)] {
        let answered = talk(&scene.node, &scene.token, &Ask::new(Api::Chat, model, "mock:")).await;
        assert_eq!(answered.status, status, "{}", answered.text);
    }
}

#[tokio::test]
async fn a_plain_call_that_is_under_way_is_cut_off_too() {
    let scene = Scene::start().await;
    let ask = Ask::new(Api::Chat, "gpt", "mock:head_ms=600000");
    let (gateway, token) = (scene.node.gateway.clone(), scene.token.clone());
    let asking =
        tokio::spawn(async move { Answered::read(ask.open_at(&gateway, &token).await.unwrap()).await });
    eventually(EFFECT, "the provider has it", async || (scene.mock.stats().running == 1).then_some(())).await;
    scene.node.cli(&["suspend", "-w", "lab", "--model", "gpt", "--reason", "Stop."]).await.expect(0);
    let answered = within(EFFECT, "the answer", asking).await.unwrap();
    assert_eq!(answered.status, 403, "{}", answered.text);
    assert_eq!(answered.error(Api::Chat)["ringfence"]["code"], "suspended");
    scene.seen().await;
    assert_eq!(scene.settled().await.last().status(), "cancelled");
}

#[tokio::test]
async fn a_killed_run_loses_its_streams() {
    let scene = Scene::start().await;
    let run = scene.node.mint_run("lab").await;
    let token = text(&run, "token");
    let mut opened = endless(Api::Messages, "gpt").open(&scene.node, &token).await.unwrap();
    within(EFFECT, "an event", opened.event()).await.unwrap().unwrap();
    scene.node.cli(&["kill", run["run"].as_str().unwrap()]).await.expect(0);
    expect_ended(&scene, vec![(Api::Messages, opened)], "suspended").await;
}

#[tokio::test]
async fn a_run_whose_time_is_up_loses_its_streams() {
    let setup = Setup { limits: "wall: 2s".to_owned(), ..Setup::budget("10.00") };
    let scene = Scene::start_with(setup).await;
    let streams = under_way(&scene).await;
    expect_ended(&scene, streams, "deadline").await;
    let refused = talk(&scene.node, &scene.token, &Ask::new(Api::Chat, "gpt", "mock:")).await;
    assert_eq!((refused.status, &refused.error(Api::Chat)["ringfence"]["code"]), (403, &json!("deadline")));
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_node_that_is_asked_to_end_ends_streams_with_a_word() {
    let mut scene = Scene::start().await;
    let streams = under_way(&scene).await;
    let ending: Vec<_> = streams
        .into_iter()
        .map(|(api, opened)| tokio::spawn(async move { (api, Answered::read(opened).await) }))
        .collect();
    assert_eq!(scene.node.stop().await, Some(0));
    for stream in ending {
        let (api, answered) = within(EFFECT, "the end of the stream", stream).await.unwrap();
        answered.error(api);
    }
    scene.seen().await;
    scene.node.restart().await;
    let log = scene.settled().await;
    assert!(log.calls.iter().all(|call| call.status() == "cancelled"), "{:?}", log.calls);
}

/// Rules for models: one is denied, one narrowed, one asked about.
const RULES: &str = "\
rules:
  - { name: everything, match: {}, decision: ALLOW }
  - { name: not-this, match: { model: denied }, decision: DENY, reason: 'This model is not for you.' }
  - { name: short, match: { model: narrow }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_max_output_tokens: 50 } }
  - { name: asked, match: { model: asked }, decision: REQUIRE_APPROVAL, reason: 'A person reads this first.', approval: { expires: 1h } }
";

async fn ruled() -> Scene {
    let mut models = String::new();
    for name in ["denied", "narrow", "asked"] {
        for (suffix, provider, base) in [("", "openai", "/v1"), ("-a", "anthropic", "")] {
            let _ = writeln!(
                models,
                "{name}{suffix}: {{ provider: {provider}, base_url: '{{url}}{base}', key: 'env:MOCK_KEY', price: {{ input: 1, output: 10 }} }}"
            );
        }
    }
    let rules = RULES.replace("denied }", "[denied, denied-a] }").replace("narrow }", "[narrow, narrow-a] }");
    let setup = Setup {
        node: "approval_wait: 200ms".to_owned(),
        models,
        holds: ", denied, denied-a, narrow, narrow-a, asked, asked-a",
        policy: rules.replace("asked }", "[asked, asked-a] }"),
        ..Setup::budget("10.00")
    };
    Scene::start_with(setup).await
}

fn of(api: Api, name: &str) -> Vec<String> {
    let suffixes: &[&str] = if api == Api::Responses { &[""] } else { &["", "-a"] };
    suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
}

#[tokio::test]
async fn a_denied_model_is_never_called() {
    let scene = ruled().await;
    for api in Api::ALL {
        for model in of(api, "denied") {
            for streamed in [false, true] {
                let ask = Ask::new(api, &model, "mock:").with("stream", streamed);
                let answered = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(answered.status, 403, "{}", answered.text);
                let error = answered.error(api);
                assert_eq!(
                    (&error["ringfence"]["code"], &error["ringfence"]["rule"]),
                    (&json!("denied_by_policy"), &json!("not-this"))
                );
                assert!(error["message"].as_str().unwrap().contains("not for you"), "{error}");
            }
        }
    }
    assert_eq!(scene.seen().await.requests, 0);
}

#[tokio::test]
async fn a_narrowed_limit_is_what_the_provider_is_told_and_the_agent_too() {
    let scene = ruled().await;
    for api in Api::ALL {
        for model in of(api, "narrow") {
            for streamed in [false, true] {
                let member = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
                let ask = Ask::new(api, &model, "mock:tokens=500,chunks=100")
                    .with("stream", streamed)
                    .with(member, 500);
                let answered = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(answered.status, 200, "{}", answered.text);
                assert_eq!(
                    answered.header("x-ringfence-max-output-tokens"),
                    "50",
                    "{api:?} {model}: {:?}",
                    answered.headers
                );
                let log = scene.settled().await;
                assert_eq!(log.last().used("output"), 50, "{api:?} {model}");
                assert_eq!(log.last().intent["max_output_tokens"], 50);
                assert_eq!(answered.said(api).split_whitespace().count(), 50, "{api:?} {model}");
            }
        }
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_call_that_a_person_has_to_agree_to_goes_through_once_after_they_did() {
    let scene = ruled().await;
    for api in Api::ALL {
        for model in of(api, "asked") {
            for streamed in [false, true] {
                let ask = Ask::new(api, &model, "mock:tokens=3").with("stream", streamed);
                let before = scene.mock.stats().all.requests;
                let answered = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(answered.status, 409, "{}", answered.text);
                let error = answered.error(api);
                assert_eq!(error["ringfence"]["code"], "approval_required", "{error}");
                assert_eq!(answered.header("x-should-retry"), "false");
                assert_eq!(scene.mock.stats().all.requests, before, "called before anybody agreed");

                let asked = audit::asked(&scene.node).await;
                let id = text(&asked, "id");
                scene.node.cli(&["approvals", "approve", &id]).await.expect(0);
                let answered = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(answered.status, 200, "{api:?} {model}: {}", answered.text);
                assert_eq!(answered.said(api).split_whitespace().count(), 3, "{api:?} {model}");

                let again = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(again.status, 409, "one yes is for one call: {}", again.text);
                let asked: Value = audit::asked(&scene.node).await;
                scene
                    .node
                    .cli(&["approvals", "deny", &text(&asked, "id"), "--reason", "Not today."])
                    .await
                    .expect(0);
                let denied = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(denied.error(api)["ringfence"]["code"], "approval_denied", "{}", denied.text);
            }
        }
    }
    scene.expect_left(BUDGET_NANOS).await;
}
