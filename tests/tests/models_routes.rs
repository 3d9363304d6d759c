//! Where calls go, what stands in when they fail, and what is answered with what was kept.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use ringfence_mock_model::{MockModel, Options};
use ringfence_tests::config::Config;
use ringfence_tests::disk;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::models::{Answered, Api, Ask, Scene, Setup, talk};
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::patience::eventually;
use ringfence_tests::upstream::text as text_of;
use serde_json::Value;

const PRICE: &str = "price: { input: 1, output: 10 }";

/// A model of the provider, with more keys.
fn model(name: &str, more: &str) -> String {
    format!(
        "{name}: {{ provider: openai, model: {name}-mock, base_url: '{{url}}/v1', key: 'env:MOCK_KEY', {PRICE}, {more} }}"
    )
}

/// The model that the provider was asked for last, by its name there.
fn asked(answer: &Answered) -> String {
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    body["model"].as_str().unwrap_or_default().to_owned()
}

async fn say(scene: &Scene, model: &str, text: &str) -> Answered {
    talk(&scene.node, &scene.token, &Ask::new(Api::Chat, model, text)).await
}

#[tokio::test]
async fn a_route_sends_calls_where_its_rules_say_and_the_log_says_why() {
    let small = model("small", "retries: 0");
    let setup = Setup {
        models: format!(
            "{small}\nauto: {{ route: [{{ when: {{ labels: [night] }}, to: claude }}, {{ when: {{ input_below: 200 }}, to: small }}, {{ to: gpt }}] }}"
        ),
        holds: ", auto",
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    let short = say(&scene, "auto", "hi").await;
    assert_eq!((short.status, asked(&short).as_str()), (200, "small-mock"), "{}", short.text);
    assert_eq!(short.header("x-ringfence-model"), "small");
    let long = say(&scene, "auto", &"word ".repeat(400)).await;
    assert_eq!(asked(&long), "gpt-mock");
    // What a route leads to is not held by that.
    assert_eq!(say(&scene, "small", "hi").await.status, 404);
    let log = scene.settled().await;
    let facts = |at: usize| log.calls[at].intent["facts"].clone();
    assert_eq!(
        (facts(0)["named"].as_str(), facts(0)["why"].as_str()),
        (Some("auto"), Some("route: input below 200"))
    );
    assert_eq!(facts(1)["why"].as_str(), Some("route"));
}

#[tokio::test]
async fn a_cheaper_route_says_what_it_saved() {
    let small = model("small", "retries: 0").replace(PRICE, "price: { input: 1, output: 1 }");
    let dear = model("dear", "route: [{ when: { budget_below: 20% }, to: small }]");
    let setup = Setup {
        models: format!("{small}\n{dear}"),
        holds: ", dear",
        agent: "budget: { usd: 0.01 }".to_owned(),
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    // Once most of the run's budget is spent, calls go to the cheaper model.
    let first = say(&scene, "dear", "mock:tokens=850").await;
    assert_eq!(asked(&first), "dear-mock", "{}", first.text);
    let second = say(&scene, "dear", "mock:tokens=10").await;
    assert_eq!((second.status, asked(&second).as_str()), (200, "small-mock"), "{}", second.text);
    // An outcome is in the index a moment after its answer.
    let entries = eventually(EFFECT, "both have their outcome", async || {
        let entries =
            scene.node.cli(&["audit", "query", "--kind", "outcome", "--json"]).await.expect(0).lines();
        (entries.len() == 2).then_some(entries)
    })
    .await;
    let saved: Vec<u64> =
        entries.iter().filter_map(|entry| entry["charge"]["saved_nanos"].as_u64()).collect();
    assert_eq!(saved, [10 * 9_000], "ten tokens at nine dollars less for a million");
    assert_eq!(saved_by(&scene, "model").await, [("dear".to_owned(), 0), ("small".to_owned(), 90_000)]);
}

#[tokio::test]
async fn an_answer_that_was_kept_says_what_it_saved_where_it_says_what_it_used() {
    let scene = Scene::start_with(keeping()).await;
    let usage = serde_json::json!({ "include_usage": true });
    let mut all = 0;
    for (ask, says) in [
        (Ask::new(Api::Chat, "kept", "mock:tokens=5"), true),
        (Ask::new(Api::Chat, "kept", "mock:tokens=6").streamed(), false),
        (Ask::new(Api::Chat, "kept", "mock:tokens=7").streamed().with("stream_options", usage), true),
        (Ask::new(Api::Responses, "kept", "mock:tokens=8"), true),
        (Ask::new(Api::Responses, "kept", "mock:tokens=9").streamed(), true),
        // A translation.
        (Ask::new(Api::Messages, "kept", "mock:tokens=10"), false),
    ] {
        assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await), "{ask:?}");
        assert!(is_hit(&talk(&scene.node, &scene.token, &ask).await), "{ask:?}");
        let log = scene.settled().await;
        let (made, kept) = (&log.calls[log.calls.len() - 2], log.last());
        let saved = kept.charge()["saved_nanos"].as_u64();
        assert_eq!((kept.charged(), saved), (0, says.then(|| made.charged())), "{ask:?}");
        all += saved.unwrap_or(0);
    }
    assert!(all > 0);
    assert_eq!(saved_by(&scene, "model").await, [("kept".to_owned(), all)]);
}

/// What `ringfence spend` says was saved, by whom; its rows and its total agree with each other and with the log.
async fn saved_by(scene: &Scene, by: &str) -> Vec<(String, u64)> {
    let spend = scene.node.cli(&["spend", "--by", by, "--json"]).await.expect(0).json();
    let nanos = |sum: &Value| sum["saved"]["usd_nanos"].as_u64().unwrap();
    let rows = spend["rows"].as_array().unwrap();
    let mut saved: Vec<_> = rows.iter().map(|row| (text_of(row, by), nanos(row))).collect();
    saved.sort();
    let entries = scene.node.cli(&["audit", "query", "--kind", "outcome", "--json"]).await.expect(0).lines();
    let logged: u64 = entries.iter().filter_map(|entry| entry["charge"]["saved_nanos"].as_u64()).sum();
    let rows: u64 = saved.iter().map(|(_, nanos)| nanos).sum();
    assert_eq!((rows, nanos(&spend["total"])), (logged, logged), "{spend}");
    saved
}

#[tokio::test]
async fn another_model_stands_in_for_one_that_fails_each_with_its_own_money() {
    let setup = Setup {
        models: [model("down", "retries: 0, failover: [gpt]"), model("wrong", "retries: 0, failover: [gpt]")]
            .join("\n"),
        holds: ", down, wrong",
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    // Only the first of the two requests with these directives fails.
    let answer = say(&scene, "down", "mock:status=500,times=1,id=a").await;
    assert_eq!((answer.status, answer.header("x-ringfence-model")), (200, "gpt"), "{}", answer.text);
    let log = scene.settled().await;
    assert_eq!(log.calls.len(), 2);
    assert_eq!((log.calls[0].status().as_str(), log.calls[0].charged()), ("failed", 0));
    assert_eq!(log.calls[1].intent["parents"][0].as_str(), Some(log.calls[0].action.as_str()));
    assert_eq!(log.calls[1].intent["facts"]["why"].as_str(), Some("failover"));
    // The request itself is wrong: another model would say the same.
    let answer = say(&scene, "wrong", "mock:status=400,id=b").await;
    assert_eq!(answer.status, 400);
    assert_eq!(scene.settled().await.calls.len(), 3);
}

/// A model whose answers are kept, in two workspaces with the same names.
fn keeping() -> Setup {
    let kept = model("kept", "cache: { ttl: 1h }");
    let tools = model("kept-tools", "cache: { ttl: 1h, tools: true }");
    Setup {
        models: format!("{kept}\n{tools}"),
        holds: ", kept, kept-tools",
        agents: vec!["assistant", "other"],
        ..Setup::default()
    }
}

fn is_hit(answer: &Answered) -> bool {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.header("x-ringfence-cache") == "hit"
}

#[tokio::test]
async fn the_same_call_is_answered_with_what_was_kept_and_costs_nothing() {
    let scene = Scene::start_with(keeping()).await;
    for ask in [
        Ask::new(Api::Chat, "kept", "mock:tokens=5"),
        Ask::new(Api::Chat, "kept", "mock:tokens=5").streamed(),
        Ask::new(Api::Messages, "kept", "mock:tokens=5"),
        Ask::new(Api::Messages, "kept", "mock:tokens=5").streamed(),
        Ask::new(Api::Responses, "kept", "mock:tokens=5").streamed(),
    ] {
        let first = talk(&scene.node, &scene.token, &ask).await;
        assert!(!is_hit(&first), "{ask:?}");
        let before = scene.mock.stats().all.requests;
        // What means nothing to the model makes no other call of it.
        let again =
            talk(&scene.node, &scene.token, &ask.clone().with("metadata", serde_json::json!({}))).await;
        assert!(is_hit(&again), "{ask:?}");
        assert_eq!((again.text, again.whole), (first.text, true), "byte for byte, and as a stream");
        assert_eq!(scene.mock.stats().all.requests, before, "nobody was asked");
        let log = scene.settled().await;
        assert_eq!((log.last().basis().as_str(), log.last().reserved), ("cached", 0));
        assert_eq!(log.last().intent["facts"]["cached"].as_bool(), Some(true));
    }
}

#[tokio::test]
async fn nothing_that_could_make_another_answer_right_is_answered_with_what_was_kept() {
    let scene = Scene::start_with(keeping()).await;
    let ask = || Ask::new(Api::Chat, "kept", "mock:tokens=5");
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask()).await));
    assert!(is_hit(&talk(&scene.node, &scene.token, &ask()).await));
    let tool = serde_json::json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
    for different in [
        ask().with("temperature", 1),
        ask().with("temperature", 0.5),
        ask().with("max_tokens", 7),
        ask().with("n", 2),
        ask().with("seed", 7),
        ask().streamed(),
        ask().with("tools", tool.clone()),
        Ask::new(Api::Chat, "kept-tools", "mock:tokens=5"),
        Ask::new(Api::Messages, "kept", "mock:tokens=5"),
        Ask::new(Api::Chat, "kept", "mock:tokens=6"),
    ] {
        let answer = talk(&scene.node, &scene.token, &different).await;
        assert!(!is_hit(&answer), "{different:?}");
    }
    // Tools are kept only where the configuration says so.
    let with_tools = |model: &str| Ask::new(Api::Chat, model, "mock:tokens=5").with("tools", tool.clone());
    assert!(!is_hit(&talk(&scene.node, &scene.token, &with_tools("kept")).await));
    assert!(!is_hit(&talk(&scene.node, &scene.token, &with_tools("kept-tools")).await));
    assert!(is_hit(&talk(&scene.node, &scene.token, &with_tools("kept-tools")).await));
    // Another agent, also if it says that it is the first.
    let other = scene.mint("other").await;
    for (agent, ask) in [
        (&other, ask()),
        (&other, ask().with("user", "robin")),
        (&other, ask().with("metadata", serde_json::json!({ "agent": "assistant", "workspace": "lab" }))),
    ] {
        let first = talk(&scene.node, agent, &ask).await;
        let kept_for_itself = ask.body.get("user").is_some() || ask.body.get("metadata").is_some();
        assert_eq!(is_hit(&first), kept_for_itself, "{ask:?}");
    }
    // Another run of the same agent may have it: it is the same grant.
    let again = scene.mint("assistant").await;
    assert!(is_hit(&talk(&scene.node, &again, &ask()).await));
}

#[tokio::test]
async fn what_was_kept_is_decided_like_every_other_call() {
    let setup = Setup { limits: "model_calls: 2".to_owned(), ..keeping() };
    let scene = Scene::start_before(
        Options { key: ringfence_tests::models::KEY.to_owned(), ..Options::default() },
        setup,
    )
    .await;
    let ask = Ask::new(Api::Chat, "kept", "mock:tokens=5");
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await));
    assert!(is_hit(&talk(&scene.node, &scene.token, &ask).await));
    assert_eq!(talk(&scene.node, &scene.token, &ask).await.status, 402, "two calls were made");
    let token = scene.mint("assistant").await;
    scene.node.cli(&["suspend", "--model", "kept", "--reason", "look"]).await.expect(0);
    assert_eq!(talk(&scene.node, &token, &ask).await.status, 403);
}

/// A node with two workspaces, `lab` and `lab2`, that differ in nothing but their names; the token is of `lab`.
async fn twins(node: &str) -> Scene {
    let key = ringfence_tests::models::KEY;
    let mock = MockModel::start(Options { key: key.to_owned(), ..Options::default() }).await.unwrap();
    let node = Node::start_in(with_key(None), &twin_config(&mock.url(), node)).await;
    let token = mint(&node, "lab", "assistant").await;
    Scene { node, mock, token }
}

fn with_key(data: Option<PathBuf>) -> Surroundings {
    let environment = vec![("MOCK_KEY", ringfence_tests::models::KEY.into())];
    Surroundings { environment, data }
}

fn twin_config(url: &str, node: &str) -> Config {
    let mut config = Setup { node: node.to_owned(), ..keeping() }.config(url);
    let (_, text) = &mut config.files[0];
    // The same once more under another name: same agents, same models, same provider, same policy.
    let twin = text.split_once("workspaces:\n").unwrap().1.replace("  lab:\n", "  lab2:\n");
    text.push_str(&twin);
    config
}

async fn mint(node: &Node, workspace: &str, agent: &str) -> String {
    let arguments = ["token", "mint", "-w", workspace, "--agent", agent, "--user", "robin", "--json"];
    text_of(&node.cli(&arguments).await.expect(0).json(), "token")
}

#[tokio::test]
async fn no_workspace_is_answered_with_what_was_kept_for_another() {
    let Scene { node, token: one, mock: _mock } = twins("").await;
    let other = mint(&node, "lab2", "assistant").await;
    for ask in [
        Ask::new(Api::Chat, "kept", "mock:tokens=5"),
        Ask::new(Api::Messages, "kept", "mock:tokens=5").streamed(),
    ] {
        assert!(!is_hit(&talk(&node, &one, &ask).await));
        assert!(is_hit(&talk(&node, &one, &ask).await));
        let headers = ask.clone().with("metadata", serde_json::json!({ "user_id": "lab" }));
        assert!(!is_hit(&talk(&node, &other, &headers).await), "{ask:?}");
        assert!(is_hit(&talk(&node, &other, &ask).await));
    }
}

/// The files of answers that are kept, finished ones.
fn kept_files(node: &Node) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(node.data().join("cache")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_none()).collect()
}

/// Waits until so many answers stand on the disk.
async fn expect_kept(node: &Node, count: usize) -> Vec<PathBuf> {
    eventually(EFFECT, "answers stand on the disk", async || {
        Some(kept_files(node)).filter(|files| files.len() == count)
    })
    .await
}

#[tokio::test]
async fn what_was_kept_outlives_a_restart_costs_nothing_and_is_nobody_elses() {
    let mut scene = twins("").await;
    let asks = [
        Ask::new(Api::Chat, "kept", "mock:tokens=5"),
        Ask::new(Api::Chat, "kept", "mock:tokens=5").streamed(),
        Ask::new(Api::Messages, "kept", "mock:tokens=5").streamed(),
    ];
    let mut said = Vec::new();
    for ask in &asks {
        let answer = talk(&scene.node, &scene.token, ask).await;
        assert!(!is_hit(&answer));
        said.push(answer.text);
    }
    for file in expect_kept(&scene.node, asks.len()).await {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
    let before = scene.mock.stats().all.requests;
    scene.node.kill().await;
    scene.node.restart().await;
    for (ask, said) in asks.iter().zip(&said) {
        let answer = talk(&scene.node, &scene.token, ask).await;
        assert!(is_hit(&answer), "{ask:?}");
        assert_eq!((&answer.text, answer.whole), (said, true), "byte for byte, and as a stream");
        let log = scene.settled().await;
        let last = log.last();
        assert_eq!((last.basis().as_str(), last.reserved, last.charged()), ("cached", 0, 0));
        assert_eq!(last.intent["facts"]["cached"].as_bool(), Some(true));
    }
    assert_eq!(scene.mock.stats().all.requests, before, "nobody was asked");
    assert_eq!(scene.node.stop().await, Some(0));
    scene.node.restart().await;
    // Nothing of it stands in memory now, and neither another agent nor another workspace has it.
    for (workspace, agent) in [("lab", "other"), ("lab2", "assistant"), ("lab2", "other")] {
        let token = mint(&scene.node, workspace, agent).await;
        for ask in &asks {
            let answer = talk(&scene.node, &token, ask).await;
            assert!(!is_hit(&answer), "{agent} of {workspace}: {ask:?}");
        }
    }
    assert!(is_hit(&talk(&scene.node, &scene.token, &asks[0]).await));
}

#[tokio::test]
async fn what_another_configuration_decided_is_gone_after_a_restart() {
    let mut scene = twins("").await;
    let ask = Ask::new(Api::Chat, "kept", "mock:tokens=5");
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await));
    let old = expect_kept(&scene.node, 1).await;
    scene.node.stop().await;
    let mut config = twin_config(&scene.mock.url(), "");
    let (_, text) = &mut config.files[0];
    *text = text.replace("input: 1, output: 10 }, cache", "input: 1, output: 9 }, cache");
    scene.node.reconfigure(&config);
    scene.node.restart().await;
    eventually(EFFECT, "it is removed", async || kept_files(&scene.node).is_empty().then_some(())).await;
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await));
    assert_ne!(expect_kept(&scene.node, 1).await, old);
    // An answer that is kept cannot be asked for by an agent that is cut off.
    scene.node.stop().await;
    scene.node.restart().await;
    scene.node.cli(&["suspend", "--model", "kept", "--reason", "look"]).await.expect(0);
    assert_eq!(talk(&scene.node, &scene.token, &ask).await.status, 403);
}

#[tokio::test]
async fn without_room_on_the_disk_for_answers_none_outlives_a_restart() {
    let mut scene = twins("").await;
    let ask = Ask::new(Api::Chat, "kept", "mock:tokens=5");
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await));
    expect_kept(&scene.node, 1).await;
    // Switched off while it runs: what is there goes, and memory still answers.
    scene.node.reconfigure(&twin_config(&scene.mock.url(), "cache: { disk: off }"));
    expect_kept(&scene.node, 0).await;
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await));
    assert!(is_hit(&talk(&scene.node, &scene.token, &ask).await));
    scene.node.stop().await;
    scene.node.restart().await;
    assert!(!is_hit(&talk(&scene.node, &scene.token, &ask).await));
    assert_eq!(kept_files(&scene.node), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_disk_with_little_left_keeps_no_answers_and_no_agent_hears_of_it() {
    let test = "a_disk_with_little_left_keeps_no_answers_and_no_agent_hears_of_it";
    let Some(disk) = disk::small(test, 192) else { return };
    let key = ringfence_tests::models::KEY;
    let mock = MockModel::start(Options { key: key.to_owned(), ..Options::default() }).await.unwrap();
    let surroundings = with_key(Some(disk.join("data")));
    let node = Node::start_in(surroundings, &keeping().config(&mock.url())).await;
    let token = mint(&node, "lab", "assistant").await;
    for id in 0..20 {
        let ask = Ask::new(Api::Chat, "kept", &format!("mock:tokens=5,id={id}"));
        assert!(!is_hit(&talk(&node, &token, &ask).await));
        assert!(is_hit(&talk(&node, &token, &ask).await), "memory answers");
    }
    assert_eq!(std::fs::read_dir(disk.join("data/cache")).map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn a_response_that_says_that_it_failed_is_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    // Fails once, then answers.
    let app = Router::new().fallback(move || {
        let status = if counted.fetch_add(1, Ordering::Relaxed) == 0 { "failed" } else { "completed" };
        let usage = serde_json::json!({ "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 });
        let error = (status == "failed").then(|| serde_json::json!({ "code": "server_error", "message": "no" }));
        let response = serde_json::json!({
            "id": "resp_1", "object": "response", "status": status, "error": error, "output": [], "usage": usage
        });
        async move { ([("content-type", "application/json")], response.to_string()) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let node = Node::start_in(with_key(None), &keeping().config(&url)).await;
    let token = mint(&node, "lab", "assistant").await;
    let ask = Ask::new(Api::Responses, "kept", "anything");
    let mut statuses = Vec::new();
    for expected in [false, false, true] {
        let answer = talk(&node, &token, &ask).await;
        assert_eq!(is_hit(&answer), expected, "{}", answer.text);
        statuses.push(answer.json()["status"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(
        (statuses.join(" ").as_str(), asked.load(Ordering::Relaxed)),
        ("failed completed completed", 2)
    );
}
