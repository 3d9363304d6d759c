//! How calls of models end: what counts as the end, what is kept of one that ends early, and what is said of a provider
//! that cannot be reached, turns a call down or is not to be asked twice.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails, in its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http;
use ringfence_tests::models::{Api, Ask, Call, Scene, Setup, talk};
use ringfence_tests::patience::{eventually, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A provider that gives every request the same bytes, with pauses between them, and closes.
struct Canned {
    port: u16,
    requests: Arc<AtomicU64>,
}

impl Canned {
    async fn start(pieces: Vec<(u64, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (pieces, requests) = (Arc::new(pieces), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&pieces), Arc::clone(&counted)));
            }
        });
        Self { port, requests }
    }

    /// One that answers with a status and a body.
    async fn with(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n");
        Self::start(vec![(0, head + body)]).await
    }

    /// One that answers with a stream of these events, each so many milliseconds after the one before.
    async fn stream(events: &[(u64, &str)], then: u64) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut pieces = vec![(0, head.to_owned())];
        let chunk = |event: &str| format!("{:x}\r\n{event}\r\n", event.len());
        pieces.extend(events.iter().map(|(after, event)| (*after, chunk(event))));
        pieces.push((then, "0\r\n\r\n".to_owned()));
        Self::start(pieces).await
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, pieces: Arc<Vec<(u64, String)>>, requests: Arc<AtomicU64>) {
    let mut read = Vec::new();
    while !is_whole(&read) {
        let mut block = [0; 16 << 10];
        match stream.read(&mut block).await {
            Ok(bytes @ 1..) => read.extend_from_slice(&block[..bytes]),
            _ => return,
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    for (after, piece) in pieces.iter() {
        tokio::time::sleep(Duration::from_millis(*after)).await;
        if stream.write_all(piece.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Whether a request is there to its last byte.
fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
}

/// A chunk of a chat that says so much.
fn says(text: &str) -> String {
    chunk(&json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }))
}

fn chunk(data: &Value) -> String {
    let mut data = data.clone();
    data["id"] = "chatcmpl-1".into();
    data["object"] = "chat.completion.chunk".into();
    format!("data: {data}\n\n")
}

const DONE: &str = "data: [DONE]\n\n";

/// A node with one model more, `odd`, which is asked once.
async fn scene(port: u16, more: &str) -> Scene {
    let models = format!(
        "odd: {{ provider: openai, model: odd-1, base_url: 'http://127.0.0.1:{port}/v1', key: 'env:MOCK_KEY', retries: 0, \
         price: {{ input: 1, output: 10 }}{more} }}"
    );
    Scene::start_with(Setup { models, holds: ", odd", ..Setup::budget("10.00") }).await
}

fn ask(says: &str) -> Ask {
    Ask::new(Api::Chat, "odd", says).with("max_tokens", 1000)
}

/// The outcome of the last call.
async fn last(scene: &Scene) -> Call {
    scene.settled().await.last().clone()
}

fn reason(call: &Call) -> String {
    call.outcome.as_ref().unwrap()["reason"].as_str().unwrap_or_default().to_owned()
}

/// What the log keeps as the result of a call.
async fn result(scene: &Scene, call: &Call) -> String {
    let shown = scene.node.cli(&["audit", "show", &call.action, "--json"]).await.expect(0);
    shown.lines().iter().map(Value::to_string).collect()
}

/// Reads a stream until this stands in it, and hangs up.
async fn hang_up_at(scene: &Scene, ask: &Ask, end: &str) {
    let mut opened = ask.open(&scene.node, &scene.token).await.unwrap();
    let mut text = String::new();
    while !text.contains(end) {
        let piece = within(EFFECT, "a piece", opened.piece()).await.unwrap();
        let piece = piece.unwrap_or_else(|| panic!("it ended before {end}: {text}"));
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    drop(opened);
}

#[tokio::test]
async fn a_stream_that_was_read_to_its_end_is_complete_though_the_client_hangs_up_first() {
    let usage = chunk(&json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2 } }));
    let canned = Canned::stream(&[(0, &says("Well met")), (0, &usage), (0, DONE)], 300).await;
    let scene = scene(canned.port, ", cache: { ttl: 1h }").await;
    let ask = ask("Hi").streamed();
    hang_up_at(&scene, &ask, "[DONE]").await;
    let call = last(&scene).await;
    assert_eq!((call.status().as_str(), call.basis().as_str()), ("completed", "reported"), "{call:?}");
    assert_eq!((call.used("input"), call.used("output")), (7, 2));
    assert!(result(&scene, &call).await.contains("Well met"));
    let again = talk(&scene.node, &scene.token, &ask).await;
    assert_eq!(again.header("x-ringfence-cache"), "hit", "{}", again.text);
    assert_eq!(canned.requests(), 1);
}

#[tokio::test]
async fn what_was_read_to_its_end_is_recorded_though_the_client_hangs_up_first() {
    let canned = Canned::stream(&[(0, &says("Well met")), (0, DONE)], 300).await;
    let models = format!(
        "odd: {{ provider: replay, recording: session.jsonl, record: true, model: odd-1, price: {{ input: 1, output: 10 }}, \
         base_url: 'http://127.0.0.1:{}/v1', key: 'env:MOCK_KEY' }}",
        canned.port
    );
    let scene = Scene::start_with(Setup { models, holds: ", odd", ..Setup::default() }).await;
    hang_up_at(&scene, &ask("Hi").streamed(), "[DONE]").await;
    let path = scene.node.folder().join("session.jsonl");
    let text = eventually(EFFECT, "it is recorded", async || {
        std::fs::read_to_string(&path).ok().filter(|text| text.contains("[DONE]"))
    })
    .await;
    assert!(text.contains("Well met"), "{text}");
    assert_eq!(last(&scene).await.status(), "completed");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_end_has_broken_nothing() {
    // No last chunk: the connection just ends.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = says("Well met") + DONE;
    let pieces = vec![(0, format!("{head}{:x}\r\n{event}\r\n", event.len())), (100, String::new())];
    let canned = Canned::start(pieces).await;
    let scene = scene(canned.port, "").await;
    let answered = talk(&scene.node, &scene.token, &ask("Hi").streamed()).await;
    assert!(answered.is_complete(Api::Chat), "{}", answered.text);
    assert_eq!(last(&scene).await.status(), "completed");
}

#[tokio::test]
async fn what_an_agent_had_of_a_stream_that_ended_early_is_kept() {
    let canned = Canned::stream(&[(0, &says("Half of it")), (600_000, DONE)], 0).await;
    let scene = scene(canned.port, "").await;
    hang_up_at(&scene, &ask("Hi").streamed(), "Half of it").await;
    let call = last(&scene).await;
    assert_eq!(call.status(), "cancelled");
    assert!(result(&scene, &call).await.contains("Half of it"));
    assert!(call.outcome.as_ref().unwrap()["result_bytes"].as_u64() > Some(0));

    let answered = within(EFFECT, "the cut stream", async {
        talk(
            &scene.node,
            &scene.token,
            &Ask::new(Api::Chat, "gpt", "mock:tokens=40,chunks=20,cut_after=10").streamed(),
        )
        .await
    })
    .await;
    assert_eq!(answered.said(Api::Chat).split_whitespace().count(), 20, "{}", answered.text);
    let call = last(&scene).await;
    assert_eq!(call.status(), "failed");
    assert!(result(&scene, &call).await.contains("chat.completion.chunk"));
}

#[tokio::test]
async fn a_stream_that_only_says_that_it_is_alive_has_not_begun() {
    let role =
        chunk(&json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" } }] }));
    let late = says("Too late");
    let mut events = vec![(0, role.as_str())];
    events.extend((0..30).map(|_| (100, ": still here\n\n")));
    events.push((0, &late));
    let canned = Canned::stream(&events, 600_000).await;
    let scene = scene(canned.port, ", timeout: 9s, first_token: 1s").await;
    let answered = talk(&scene.node, &scene.token, &ask("Hi").streamed()).await;
    let error = answered.error(Api::Chat);
    assert!(error["message"].as_str().unwrap().contains("in time"), "{error}");
    assert!(!answered.text.contains("Too late"), "{}", answered.text);
}

#[tokio::test]
async fn the_time_to_the_first_token_is_one_and_not_one_for_the_head_and_one_more_for_the_rest() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = says("Too late");
    let event = format!("{:x}\r\n{event}\r\n", event.len());
    let pieces = vec![(1_200, head.to_owned()), (1_200, event), (600_000, String::new())];
    let canned = Canned::start(pieces).await;
    let scene = scene(canned.port, ", timeout: 9s, first_token: 2s").await;
    let answered = talk(&scene.node, &scene.token, &ask("Hi").streamed()).await;
    assert!(!answered.text.contains("Too late"), "{}", answered.text);
    assert!(answered.error(Api::Chat)["message"].as_str().unwrap().contains("in time"), "{}", answered.text);
}

/// A model that may use a tool at the provider, before another that may take over.
async fn acting(port: u16, status: &str) -> (Scene, Ask) {
    let odd = |name: &str, more: &str| {
        format!(
            "{name}: {{ provider: anthropic, model: {name}-1, base_url: 'http://127.0.0.1:{port}', key: 'env:MOCK_KEY', \
             context: 200000, price: {{ input: 1, output: 10, hosted: {{ web_search: 0.01 }} }}{more} }}\n"
        )
    };
    let models = odd("odd", ", retries: 2, failover: [spare]") + &odd("spare", ", retries: 0");
    let agent = "budget: { usd: off }\n        hosted_tools: [web_search]".to_owned();
    let scene = Scene::start_with(Setup { models, holds: ", odd, spare", agent, ..Setup::default() }).await;
    let tool = json!([{ "type": "web_search_20250305", "name": "web_search", "max_uses": 1 }]);
    (scene, Ask::new(Api::Messages, "odd", &format!("What about {status}?")).with("tools", tool))
}

#[tokio::test]
async fn a_request_that_acts_at_the_provider_is_sent_again_only_where_nothing_can_have_happened() {
    let said = r#"{"type":"error","error":{"type":"api_error","message":"Sorry"}}"#;
    for (status, sent) in
        [("500 Internal Server Error", 1), ("503 Service Unavailable", 4), ("429 Too Many", 4)]
    {
        let canned = Canned::with(status, "content-type: application/json\r\n", said).await;
        let (scene, ask) = acting(canned.port, status).await;
        let answered = talk(&scene.node, &scene.token, &ask).await;
        assert!(!(200..300).contains(&answered.status), "{}", answered.text);
        assert_eq!(canned.requests(), sent, "{status}: {}", answered.text);
        // The same without a tool is harmless: twice more, and once by another model.
        let mut harmless = ask.clone();
        harmless.body.as_object_mut().unwrap().remove("tools");
        talk(&scene.node, &scene.token, &harmless).await;
        assert_eq!(canned.requests() - sent, 4, "{status}");
    }
}

#[tokio::test]
async fn a_request_that_acts_at_the_provider_is_not_handed_on_when_its_answer_breaks() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n{";
    let canned = Canned::start(vec![(0, head.to_owned())]).await;
    let (scene, ask) = acting(canned.port, "it").await;
    let answered = talk(&scene.node, &scene.token, &ask).await;
    assert_eq!((answered.status, canned.requests()), (502, 1), "{}", answered.text);
}

#[tokio::test]
async fn why_a_provider_cannot_be_reached_is_for_whoever_runs_the_node() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    let models = [
        ("odd", format!("http://127.0.0.1:{closed}/v1")),
        ("tls", format!("https://127.0.0.1:{plain}/v1")),
        ("name", "http://nobody.invalid/v1".to_owned()),
    ];
    let more = "provider: openai, model: m, key: 'env:MOCK_KEY', retries: 0, price: free";
    let models = models.map(|(name, base)| format!("{name}: {{ {more}, base_url: '{base}' }}")).join("\n");
    let scene = Scene::start_with(Setup { models, holds: ", odd, tls, name", ..Setup::default() }).await;
    for (model, why) in [("odd", "connection refused"), ("tls", "TLS"), ("name", "no such host")] {
        let answered = talk(&scene.node, &scene.token, &Ask::new(Api::Chat, model, "Hi")).await;
        assert_eq!(answered.status, 502, "{}", answered.text);
        assert!(!answered.text.contains(why), "not for the agent: {}", answered.text);
        let call = last(&scene).await;
        assert_eq!(call.status(), "not_sent");
        assert!(reason(&call).contains(why), "{model}: {}", reason(&call));
        assert!(
            scene.node.said().lines().any(|line| line.contains("WARN") && line.contains(why)),
            "{}",
            scene.node.said()
        );
    }
}

#[tokio::test]
async fn what_a_provider_says_when_it_says_no_is_kept_and_a_wrong_path_is_told() {
    let canned =
        Canned::with("404 Not Found", "content-type: application/json\r\n", r#"{"detail":"Not Found"}"#)
            .await;
    let scene = scene(canned.port, "").await;
    let answered = talk(&scene.node, &scene.token, &ask("Hi")).await;
    assert_eq!(answered.status, 404, "{}", answered.text);
    let message = answered.error(Api::Chat)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("/v1/chat/completions") && message.contains("base_url"), "{message}");
    let call = last(&scene).await;
    assert_eq!(call.status(), "failed");
    let kept = result(&scene, &call).await;
    assert!(kept.contains("detail") && kept.contains("Not Found"), "{kept}");

    let said = r#"{"error":{"message":"The model `odd-1` does not exist.","type":"NotFoundError","param":null,"code":404}}"#;
    let canned = Canned::with("404 Not Found", "content-type: application/json\r\n", said).await;
    let scene = self::scene(canned.port, "").await;
    let answered = talk(&scene.node, &scene.token, &ask("Hi")).await;
    assert_eq!((answered.status, answered.text.as_str()), (404, said));
    let call = last(&scene).await;
    assert!(result(&scene, &call).await.contains("does not exist"));
    assert!(reason(&call).contains("NotFoundError"), "{}", reason(&call));
}

#[tokio::test]
async fn a_provider_that_sends_elsewhere_is_not_followed_and_has_failed() {
    let canned = Canned::with("302 Found", "location: http://elsewhere.test/\r\n", "").await;
    let scene = scene(canned.port, "").await;
    for ask in [ask("Hi"), ask("Hi").streamed()] {
        let answered = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(answered.status, 502, "{}", answered.text);
        let message = answered.error(Api::Chat)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("redirect") && message.contains("not followed"), "{message}");
        assert!(answered.headers.get("location").is_none());
    }
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let later = "date: Sat, 21 Nov 2026 22:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 22:10:00 GMT\r\n\
                 content-type: application/json\r\n";
    let canned = Canned::with("503 Service Unavailable", later, r#"{"error":{"message":"Later"}}"#).await;
    // Without it, it would be tried again.
    let models = format!(
        "odd: {{ provider: openai, model: odd-1, base_url: 'http://127.0.0.1:{}/v1', key: 'env:MOCK_KEY', retries: 3, price: free }}",
        canned.port
    );
    let scene = Scene::start_with(Setup { models, holds: ", odd", ..Setup::default() }).await;
    let answered = talk(&scene.node, &scene.token, &ask("Hi")).await;
    assert_eq!((answered.status, canned.requests()), (503, 1), "{}", answered.text);
}

#[tokio::test]
async fn a_kept_answer_says_which_model_gave_it() {
    let models = "auto: { route: [{ to: spare }] }\n\
         spare: { provider: openai, model: spare-1, base_url: '{url}/v1', key: 'env:MOCK_KEY', price: free, cache: { ttl: 1h } }";
    let setup = Setup { models: models.to_owned(), holds: ", auto", ..Setup::default() };
    let scene = Scene::start_with(setup).await;
    let ask = Ask::new(Api::Chat, "auto", "mock:tokens=3");
    for cache in ["", "hit"] {
        let answered = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(answered.header("x-ringfence-cache"), cache, "{}", answered.text);
        assert_eq!(answered.header("x-ringfence-model"), "spare", "{cache}");
    }
}

#[tokio::test]
async fn a_call_that_no_budget_covers_is_told_by_how_much() {
    let setup = Setup { workspace: "budget: { usd: 0.004, per: day }".to_owned(), ..Setup::default() };
    let scene = Scene::start_with(setup).await;
    let ask = Ask::new(Api::Chat, "gpt", &"x".repeat(3_000)).with("max_tokens", 1000);
    let answered = talk(&scene.node, &scene.token, &ask).await;
    assert_eq!(answered.status, 402, "{}", answered.text);
    let error = answered.error(Api::Chat);
    let budget = &error["ringfence"]["budget"];
    assert_eq!((&budget["level"], &budget["per"]), (&json!("workspace"), &json!("day")), "{error}");
    assert_eq!(budget["left"]["usd_nanos"], 4_000_000, "{error}");
    let needed = budget["needed"]["usd_nanos"].as_u64().unwrap();
    assert!((5_500_000..7_000_000).contains(&needed), "the floor and what is read: {needed}");
    assert_eq!(budget["needed"]["max_output_tokens"], 256);
    assert!(budget["until"].as_str().unwrap().contains("T00:00:00"), "{error}");
    let message = error["message"].as_str().unwrap();
    for part in ["$0.004 is left", "256 tokens", "until 00:00 UTC", "max_tokens"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[tokio::test]
async fn base_urls_that_are_nearly_right_are_told_the_right_ones() {
    let scene = Scene::start().await;
    let (gateway, token) = (&scene.node.gateway, format!("Bearer {}", scene.token));
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    for path in [
        "/openai/chat/completions",
        "/openai",
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/models",
        "/chat/completions",
        "/anthropic",
    ] {
        let answer = http::try_post(&format!("{gateway}{path}"), &headers, "{}").await.unwrap();
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        let body = answer.json();
        let message = body["error"]["message"].as_str().unwrap_or_else(|| panic!("{path}: {body}"));
        assert!(message.contains(&format!("{gateway}/openai/v1")), "{path}: {message}");
        assert!(message.contains(&format!("{gateway}/anthropic")), "{path}: {message}");
        assert_eq!(answer.header("x-should-retry"), "false");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_so_and_a_strange_host_need_not_try_again() {
    let scene = Scene::start().await;
    let host = scene.node.gateway.trim_start_matches("http://");
    for (host, length, status, code) in
        [(host, 50 << 20, 413, "too_large"), ("elsewhere.test", 2, 403, "forbidden")]
    {
        for (api, place) in [(Api::Chat, "/error/code"), (Api::Messages, "/error/ringfence/code")] {
            let request = format!(
                "POST {} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
                 connection: close\r\ncontent-length: {length}\r\n\r\n{{}}",
                api.path(),
                scene.token
            );
            let answer = http::raw(&scene.node.gateway, request.as_bytes(), Duration::from_secs(1)).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            assert!(answer.contains("x-should-retry: false"), "{answer}");
            let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
            println!("{place}: {body}");
            if api == Api::Chat {
                assert_eq!(body.pointer(place), Some(&json!(code)), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_is_cut_when_its_money_is_spent_and_not_before_its_limit() {
    // 400 words of several tokens each, a word an event, though 200 tokens were the limit.
    let scene = Scene::start_with(Setup::budget("10.00")).await;
    for api in Api::ALL {
        let says = "mock:tokens=4000,chunks=4000,delay_ms=1,flush,ignore_max";
        let member = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
        let token = scene.mint("assistant").await;
        let ask = Ask::new(api, api.models()[0], says).streamed().with(member, 1000);
        let answered = talk(&scene.node, &token, &ask).await;
        assert_eq!(answered.error(api)["ringfence"]["code"], "over_budget", "{api:?}");
        let said = answered.said(api).split_whitespace().count();
        assert!((1000..1_450).contains(&said), "{api:?}: {said}");
    }
}
