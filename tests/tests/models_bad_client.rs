//! Agents on bad days: what they send and how they leave costs what it should, and nothing more.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::time::Duration;

use ::http::Method;
use bytes::Bytes;
use ringfence_mock_model::Counts;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http;
use ringfence_tests::models::{Answered, Api, Ask, INPUT_NANOS, OUTPUT_NANOS, Scene, Setup, error_of, talk};
use ringfence_tests::patience::{eventually, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BUDGET_NANOS: u64 = 10_000_000_000;

async fn scene() -> Scene {
    Scene::start_with(Setup::budget("10.00")).await
}

/// Sends any bytes as a request to an API.
async fn send(scene: &Scene, api: Api, body: impl Into<Bytes>) -> Answered {
    let url = format!("{}{}", scene.node.gateway, api.path());
    let authorization = format!("Bearer {}", scene.token);
    let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
    let opened = http::open(Method::POST, &url, &headers, body.into()).await.unwrap();
    within(EFFECT, "the answer", Answered::read(opened)).await
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_anything_is_set_aside() {
    let scene = scene().await;
    for api in Api::EVERY {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "{\"model\":\"gpt\"}",
            "{\"model\":7}",
            "{\"model\":\"gpt\",\"model\":\"gpt\",\"messages\":[]}",
            "{\"model\":\"gpt\",\"messages\":\"hi\",\"input\":7}",
            "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"\u{0}\"}]}",
            "\u{feff}{}",
        ] {
            let answered = send(&scene, api, body).await;
            assert_eq!(answered.status, 400, "{api:?} {body}: {}", answered.text);
            assert_eq!(answered.header("x-should-retry"), "false", "{api:?} {body}");
            answered.error(api);
        }
        let answered = send(&scene, api, vec![0xff, 0xfe, 0x00]).await;
        assert_eq!(answered.status, 400, "{api:?}: {}", answered.text);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(send(&scene, api, deep).await.status, 400, "{api:?}");
    }
    assert_eq!(scene.seen().await.requests, 0);
    assert!(scene.settled().await.calls.is_empty());
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_model_that_is_not_held_is_as_one_that_does_not_exist() {
    let setup = Setup {
        models: "secret: { provider: openai, base_url: '{url}/v1', price: free }".to_owned(),
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    for api in Api::EVERY {
        let mut texts = Vec::new();
        for model in ["secret", "nobody"] {
            let answered = talk(&scene.node, &scene.token, &Ask::new(api, model, "Hi")).await;
            assert_eq!(answered.status, 404, "{api:?}: {}", answered.text);
            assert_eq!(answered.error(api)["ringfence"]["code"], "not_granted");
            let action = answered.error(api)["ringfence"]["action"].as_str().unwrap().to_owned();
            texts.push(answered.text.replace(&action, "").replace(model, ""));
        }
        assert_eq!(texts[0], texts[1], "{api:?}");
    }
    assert_eq!(scene.seen().await.requests, 0);
}

#[tokio::test]
async fn a_body_of_fifty_megabytes_is_refused_without_being_held() {
    let scene = scene().await;
    let body = format!("{{\"model\":\"gpt\",\"messages\":\"{}\"}}", "x".repeat(50 << 20));
    for api in Api::EVERY {
        let mut request = head(&scene, api, body.len()).into_bytes();
        request.extend_from_slice(body.as_bytes());
        // It is refused before it is read to the end, so the connection closes under whoever still sends.
        let answer = http::raw(&scene.node.gateway, &request, Duration::from_secs(2)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413"), "{api:?}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        error_of(api, &serde_json::from_str(body).unwrap());
    }
    assert_eq!(scene.seen().await.requests, 0);
    scene.expect_left(BUDGET_NANOS).await;
}

/// The head of a request with so long a body.
fn head(scene: &Scene, api: Api, length: usize) -> String {
    let host = scene.node.gateway.trim_start_matches("http://");
    format!(
        "POST {} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n",
        api.path(),
        scene.token
    )
}

#[tokio::test]
async fn a_token_that_is_none_is_told_so_in_every_api() {
    let scene = scene().await;
    for api in Api::EVERY {
        let answered = talk(&scene.node, "rfr_nonsense", &Ask::new(api, "gpt", "Hi")).await;
        assert_eq!(answered.status, 401, "{api:?}: {}", answered.text);
        assert!(answered.error(api)["message"].as_str().unwrap().contains("token"), "{}", answered.text);
    }
}

#[tokio::test]
async fn a_client_that_leaves_at_any_point_of_a_stream_pays_for_what_was_written_and_no_more() {
    let scene = scene().await;
    let mut left = 0;
    for api in Api::ALL {
        for model in api.models() {
            for events in 0..12 {
                let before = scene.seen().await;
                let spent = scene.settled().await.spent();
                leave_after(&scene, api, model, events).await;
                left += 1;
                let seen = eventually(EFFECT, "the provider is let go", async || {
                    let stats = scene.mock.stats();
                    (stats.running == 0 && stats.all.cut_by_client == left).then_some(stats.all)
                })
                .await;
                let log = scene.settled().await;
                let (output, input) = (seen.output - before.output, seen.input - before.input);
                let charged = log.spent() - spent;
                let at = format!("{api:?} {model} after {events}: {:?}", log.last());
                assert_eq!(log.last().status(), "cancelled", "{at}");
                assert_eq!(log.last().basis(), "counted", "{at}");
                assert!(
                    charged >= output * OUTPUT_NANOS + input * INPUT_NANOS,
                    "{at}: {output} were written"
                );
                assert!(charged < log.last().reserved, "{at}");
            }
        }
    }
    scene.expect_left(BUDGET_NANOS).await;
}

/// Reads so many events of a stream that would go on, and goes away.
async fn leave_after(scene: &Scene, api: Api, model: &str, events: usize) {
    let says = "mock:tokens=2000,chunks=2000,delay_ms=5,flush";
    let member = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
    let ask = Ask::new(api, model, says).streamed().with(member, 4000);
    let mut opened = ask.open(&scene.node, &scene.token).await.unwrap();
    assert_eq!(opened.status(), 200);
    for _ in 0..events {
        within(EFFECT, "an event", opened.event()).await.unwrap().unwrap();
    }
}

/// Sends a request and reads its answer from the socket, byte for byte, as far as it wants; then it goes away, whatever
/// has come besides.
async fn leave_at(scene: &Scene, ask: &Ask, is_enough: impl Fn(&str) -> bool) -> String {
    let body = ask.body.to_string();
    let request = format!("{}{body}", head(scene, ask.api, body.len()));
    let address = scene.node.gateway.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let reading = async {
        while !is_enough(&String::from_utf8_lossy(&read)) {
            read.push(stream.read_u8().await.unwrap());
        }
    };
    within(EFFECT, "the answer so far", reading).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// A stream of this API that says so.
fn stream_of(api: Api, model: &str, says: &str) -> Ask {
    let member = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
    Ask::new(api, model, says).streamed().with(member, 4000)
}

/// Expects the last call to have been cut off by its client, and charged for no less than what the provider wrote.
async fn expect_left(scene: &Scene, before: Counts, at: &str) {
    let seen = scene.seen().await;
    let log = scene.settled().await;
    let call = log.last();
    assert_eq!((call.status().as_str(), call.basis().as_str()), ("cancelled", "counted"), "{at}: {call:?}");
    let truth = (seen.output - before.output) * OUTPUT_NANOS + (seen.input - before.input) * INPUT_NANOS;
    assert!((truth..call.reserved).contains(&call.charged()), "{at}: {truth} were used: {call:?}");
    assert_eq!(seen.cut_by_client, before.cut_by_client + 1, "{at}: the provider was let go");
}

#[tokio::test]
async fn a_client_that_leaves_inside_an_event_pays_for_what_was_written() {
    let scene = scene().await;
    for api in Api::ALL {
        for model in api.models() {
            let before = scene.seen().await;
            let ask = stream_of(api, model, "mock:tokens=2000,chunks=2000,delay_ms=5,flush");
            let read = leave_at(&scene, &ask, |read| read.matches("data: {\"").count() == 4).await;
            let at = format!("{api:?} {model}");
            assert!(read.ends_with("data: {\""), "{at}: in the middle of an event: {read}");
            expect_left(&scene, before, &at).await;
        }
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_events_that_end_a_stream_pays_for_what_was_written() {
    let scene = scene().await;
    for api in Api::ALL {
        for model in api.models() {
            let before = scene.seen().await;
            // All has been said, and the provider has not said so yet.
            let ask = stream_of(api, model, "mock:tokens=5,chunks=5,flush,hang_after=1000");
            let words = if api == Api::Responses { "output_text.delta\"," } else { "\"delta\":{" };
            leave_at(&scene, &ask, |read| read.matches(words).count() == 5 && read.ends_with("\n\n")).await;
            expect_left(&scene, before, &format!("{api:?} {model}")).await;
        }
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_client_that_leaves_between_the_last_event_and_the_last_word_pays_what_the_provider_reported() {
    let scene = scene().await;
    for (api, last_event) in [(Api::Chat, "\"usage\":{"), (Api::Messages, "message_delta")] {
        for model in api.models() {
            let before = scene.seen().await;
            // A byte at a time, so that the last word comes after what the client has read.
            let says = "mock:tokens=5,chunks=5,slice=1";
            let ask = stream_of(api, model, says).with_usage();
            let is_last = |read: &str| read.contains(last_event) && read.ends_with("\n\n");
            let read = leave_at(&scene, &ask, is_last).await;
            let at = format!("{api:?} {model}: {read}");
            assert!(!read.contains("[DONE]") && !read.contains("message_stop"), "{at}");
            let seen = scene.seen().await;
            let log = scene.settled().await;
            let truth =
                (seen.output - before.output) * OUTPUT_NANOS + (seen.input - before.input) * INPUT_NANOS;
            assert_eq!(log.last().basis(), "reported", "{at}: {:?}", log.last());
            assert_eq!(log.last().charged(), truth, "{at}: {:?}", log.last());
        }
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_begins_lets_the_provider_go() {
    let scene = scene().await;
    for (number, streamed) in [false, true].into_iter().enumerate() {
        let ask = Ask::new(Api::Chat, "gpt", "mock:head_ms=600000").with("stream", streamed);
        let (gateway, token) = (scene.node.gateway.clone(), scene.token.clone());
        let asking = tokio::spawn(async move { ask.open_at(&gateway, &token).await.map(drop) });
        eventually(EFFECT, "the provider has it", async || (scene.mock.stats().running == 1).then_some(()))
            .await;
        asking.abort();
        let let_go = number as u64 + 1;
        eventually(EFFECT, "the provider is let go", async || {
            (scene.mock.stats().all.cut_by_client == let_go).then_some(())
        })
        .await;
        assert_eq!(scene.settled().await.last().status(), "cancelled");
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_sends_is_forgotten() {
    let scene = scene().await;
    let head = format!("{}{{\"model\":", head(&scene, Api::Chat, 5000));
    for _ in 0..20 {
        http::raw(&scene.node.gateway, head.as_bytes(), Duration::from_millis(20)).await;
    }
    assert!(scene.settled().await.calls.is_empty());
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_it_and_the_node_holds_little() {
    let scene = scene().await;
    talk(&scene.node, &scene.token, &Ask::new(Api::Chat, "gpt", "mock:")).await;
    let before = memory(&scene);
    let ask =
        Ask::new(Api::Chat, "gpt", "mock:tokens=200000,chunks=200000").streamed().with("max_tokens", 300_000);
    let mut opened = ask.open(&scene.node, &scene.token).await.unwrap();
    let (mut events, mut done) = (0, false);
    while let Some(event) = within(EFFECT, "an event", opened.event()).await.unwrap() {
        events += 1;
        done = event == "[DONE]";
        if events < 10 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(scene.mock.stats().all.output < 150_000, "the provider is not held back");
        }
    }
    assert!(done && events > 200_000, "{events}");
    let grown = memory(&scene).saturating_sub(before);
    assert!(grown < 32 << 20, "grew by {grown} bytes");
    assert_eq!(scene.settled().await.last().used("output"), 200_000);
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_slow_reader_that_leaves_pays_for_what_was_written_meanwhile() {
    let scene = scene().await;
    // Slow enough to be counted to the end, and faster than anybody counts.
    for (how, most) in [("tokens=40000,chunks=40000", 50_000), ("tokens=250000,chunks=250000", 300_000)] {
        let ask = Ask::new(Api::Chat, "gpt", &format!("mock:{how}")).streamed().with("max_tokens", most);
        let mut opened = ask.open(&scene.node, &scene.token).await.unwrap();
        within(EFFECT, "an event", opened.event()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(opened);
        let before = scene.mock.stats().all.output;
        assert!(before > 5_000, "the provider wrote {before} tokens ahead");
        let truth: u64 = { scene.seen().await.output };
        let log = scene.settled().await;
        let charged: u64 = log.calls.iter().map(|call| call.used("output").max(call.used("input"))).sum();
        println!("{truth} written, {charged} charged, {:?}", log.bases());
        assert!(charged >= truth, "{truth} were written and {charged} charged");
    }
    scene.expect_left(BUDGET_NANOS).await;
}

/// The largest resident size of the node so far, in bytes.
fn memory(scene: &Scene) -> u64 {
    let pid = scene.node.pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn fields_that_are_not_known_are_refused_and_named() {
    let scene = scene().await;
    for api in Api::EVERY {
        let ask = Ask::new(api, "gpt", "Hi").with("brand_new", true);
        let answered = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(answered.status, 400, "{api:?}: {}", answered.text);
        let message = answered.error(api)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("brand_new") && message.contains("pass_unknown"), "{message}");
    }
    let remote = json!([{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": "https://example.com/cat.png" } } ] }]);
    let ask = Ask::new(Api::Chat, "gpt", "").with("messages", remote);
    let answered = talk(&scene.node, &scene.token, &ask).await;
    assert_eq!(answered.status, 400, "{}", answered.text);
    assert_eq!(scene.seen().await.requests, 0);
}
