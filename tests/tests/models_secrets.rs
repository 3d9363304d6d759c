//! A provider's key is the node's alone: whatever a provider says, it is in no answer, no line of the log and no file.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::fmt::Write as _;
use std::path::Path;

use ::http::Method;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use ringfence_tests::mcp::http;
use ringfence_tests::models::{Answered, Api, Ask, KEY, Scene, Setup, talk};

/// What the talkative provider does, each the name of a model there.
const HABITS: [&str; 8] = ["401", "400", "403", "429", "500", "page", "stream", "stream-object"];

/// A provider that repeats the key of every request in whatever it says.
async fn talkative() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(async |request: Request| {
        let headers = request.headers().clone();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        say(&headers, &body)
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

fn say(headers: &HeaderMap, body: &[u8]) -> Response<String> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let all = format!("{headers:?}").replace(['"', '\\'], " ");
    let is_anthropic = headers.contains_key("anthropic-version");
    let message =
        format!("Incorrect API key provided: {KEY}. You sent {all}. Masked: {}****{}", &KEY[..8], &KEY[30..]);
    let error = if is_anthropic {
        format!(r#"{{"type":"error","error":{{"type":"authentication_error","message":"{message}"}}}}"#)
    } else {
        format!(
            r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":"{KEY}","code":"{KEY}"}}}}"#
        )
    };
    let answer = |status: u16, kind: &str, body: String| {
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer.headers_mut().insert("content-type", kind.parse().unwrap());
        answer.headers_mut().insert("x-api-key", KEY.parse().unwrap());
        answer.headers_mut().insert("set-cookie", KEY.parse().unwrap());
        answer
    };
    let habit = body["model"].as_str().unwrap_or_default();
    match habit {
        "page" => answer(502, "text/html", format!("<html>{message}</html>")),
        "stream" => answer(200, "text/event-stream", format!("event: error\ndata: {error}\n\n")),
        "stream-object" => answer(200, "application/json", error),
        status => answer(status.parse().unwrap_or(500), "application/json", error),
    }
}

/// Whether something has the key in it, or so much of it that the rest could be guessed.
fn has_key(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    [KEY, &KEY[..16], &KEY[24..]].iter().any(|part| text.contains(part))
}

fn expect_nowhere(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            expect_nowhere(&path);
        } else if kind.is_file() {
            assert!(!has_key(&std::fs::read(&path).unwrap()), "the key is in {}", path.display());
        }
    }
}

async fn expect_kept(scene: &Scene) {
    scene.settled().await;
    assert!(!has_key(scene.node.said().as_bytes()), "the key is in the node's own lines");
    for command in [&["audit", "query", "--json"][..], &["audit", "export"], &["status", "--json"]] {
        let said = scene.node.cli(command).await;
        assert!(!has_key(said.stdout.as_bytes()) && !has_key(said.stderr.as_bytes()), "{command:?}");
    }
    expect_nowhere(&scene.node.data());
}

#[tokio::test]
async fn a_provider_that_repeats_its_key_is_not_repeated() {
    let url = talkative().await;
    let mut models = String::new();
    let mut holds = String::new();
    for habit in HABITS {
        for (prefix, provider, base) in [("o", "openai", "/v1"), ("a", "anthropic", "")] {
            let more =
                "price: { input: 1, output: 10 }, retries: 0, breaker: { failures: 1000, open_for: 1s }";
            let _ = writeln!(
                models,
                "{prefix}-{habit}: {{ provider: {provider}, model: '{habit}', base_url: '{url}{base}', key: 'env:MOCK_KEY', {more} }}"
            );
            let _ = write!(holds, ", {prefix}-{habit}");
        }
    }
    let setup = Setup { models, holds: holds.leak(), ..Setup::default() };
    let scene = Scene::start_with(setup).await;
    for habit in HABITS {
        for api in Api::ALL {
            let prefixes: &[&str] = if api == Api::Responses { &["o"] } else { &["o", "a"] };
            for prefix in prefixes {
                for streamed in [false, true] {
                    let ask = Ask::new(api, &format!("{prefix}-{habit}"), "Hi").with("stream", streamed);
                    let answered = talk(&scene.node, &scene.token, &ask).await;
                    let at =
                        format!("{api:?} {prefix}-{habit} {streamed}: {} {}", answered.status, answered.text);
                    assert!(!has_key(answered.text.as_bytes()), "{at}");
                    assert!(!has_key(format!("{:?}", answered.headers).as_bytes()), "{at}");
                    let is_error = answered.status >= 400 || answered.text.contains("error");
                    assert!(is_error, "{at}");
                }
            }
        }
    }
    expect_kept(&scene).await;
}

#[tokio::test]
async fn the_key_of_good_calls_stands_nowhere_and_the_provider_sees_no_other() {
    let scene = Scene::start().await;
    for api in Api::ALL {
        for model in api.models() {
            for streamed in [false, true] {
                let ask = Ask::new(api, model, "mock:tokens=3").with("stream", streamed);
                let answered = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(answered.status, 200, "{}", answered.text);
                assert!(
                    !has_key(answered.text.as_bytes())
                        && !has_key(format!("{:?}", answered.headers).as_bytes())
                );
            }
        }
    }
    let stats = scene.mock.stats();
    assert_eq!(stats.by_key.len(), 1, "{:?}", stats.by_key);
    assert_eq!(stats.all.refused, 0, "the one key is the right one");
    expect_kept(&scene).await;
}

#[tokio::test]
async fn nothing_of_an_agents_own_headers_reaches_the_provider() {
    let scene = Scene::start().await;
    for api in Api::ALL {
        let ask = Ask::new(api, "gpt", "mock:tokens=3");
        let authorization = format!("Bearer {}", scene.token);
        let headers = [
            ("content-type", "application/json"),
            ("authorization", authorization.as_str()),
            ("x-api-key", scene.token.as_str()),
            ("cookie", "session=of-the-agent"),
            ("x-forwarded-for", "10.1.2.3"),
            ("openai-organization", "org-of-the-agent"),
            ("x-stainless-lang", "of-the-agent"),
            ("user-agent", "of-the-agent"),
            ("x-mock", "tokens=of-the-agent"),
        ];
        let url = format!("{}{}", scene.node.gateway, api.path());
        let opened =
            http::open(Method::POST, &url, &headers, Bytes::from(ask.body.to_string())).await.unwrap();
        let answered = Answered::read(opened).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    let seen = scene.mock.stats().last;
    assert_eq!(seen.len(), Api::ALL.len());
    let shown = format!("{seen:?}");
    for word in ["of-the-agent", "10.1.2.3", scene.token.as_str(), "x-stainless", "cookie"] {
        assert!(!shown.contains(word), "{word} reached the provider: {shown}");
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_is_told_without_it() {
    // The provider wants another key than the node has.
    let options = ringfence_mock_model::Options { key: "sk-another".to_owned(), ..Default::default() };
    let scene = Scene::start_before(options, Setup::default()).await;
    for api in Api::ALL {
        for model in api.models() {
            let answered = talk(&scene.node, &scene.token, &Ask::new(api, model, "mock:")).await;
            println!("{api:?} {model}: {} {}", answered.status, answered.text);
            answered.error(api);
            assert!(answered.status >= 400 && !has_key(answered.text.as_bytes()), "{}", answered.text);
        }
    }
    assert_eq!(scene.settled().await.spent(), 0);
    expect_kept(&scene).await;
}
