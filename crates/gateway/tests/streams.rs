//! Streams: progress, questions, cancellation and suspensions.

mod common;

use std::time::{Duration, Instant};

use common::client::call_body;
use common::{Node, Reply, Upstream, at};
use http::StatusCode;
use ringfence_json::Value;

const PATH: &str = "/mcp/tools";

fn progress(token: &str, message: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1,"message":"{message}"}}}}"#
    )
}

fn done(text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
}

const WITH_TOKEN: &str = r#","_meta":{"progressToken":"mine"}"#;

#[tokio::test]
async fn progress_reaches_the_client_before_the_result_and_only_its_own() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| {
        Reply::Events(vec![
            (0, progress(r#""mine""#, "half")),
            (0, progress(r#""other""#, "not mine")),
            (0, r#"{"jsonrpc":"2.0","method":"notifications/unheard-of"}"#.into()),
            (20, done("done")),
        ])
    });
    let mut stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", WITH_TOKEN)).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(at(&stream.event().await.unwrap(), "/params/message"), "half");
    assert_eq!(at(&stream.event().await.unwrap(), "/result/content/0/text"), "done");
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn a_client_that_takes_no_stream_gets_the_result_alone() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Events(vec![(0, progress(r#""mine""#, "half")), (0, done("done"))]));
    let session = client.session.clone().unwrap();
    let headers = [("mcp-session-id", session.as_str()), ("accept", "application/json")];
    let answer =
        client.send(http::Method::POST, PATH, &headers, &call_body(7, "echo", "{}", WITH_TOKEN)).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text(), "done");
}

#[tokio::test]
async fn nothing_is_told_in_passing_where_something_is_to_be_redacted() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| {
        let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"123-45-6789"}}"#;
        let question = r#"{"jsonrpc":"2.0","id":9,"method":"elicitation/create","params":{"message":"123-45-6789?"}}"#;
        let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:123-45-6789"}}"#;
        Reply::Events(vec![
            (0, progress(r#""mine""#, "123-45-6789")),
            (0, log.into()),
            (0, question.into()),
            (0, updated.into()),
            (0, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no 123-45-6789","data":{"ssn":"123-45-6789"}}}"#.into()),
        ])
    });
    let answer = client.legacy(PATH, &call_body(7, "whois", "{}", WITH_TOKEN)).await;
    assert!(
        !answer.body.contains("6789") && answer.body.contains("notifications/progress"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_question_of_the_server_is_asked_and_its_answer_goes_back() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| {
        let question =
            r#"{"jsonrpc":"2.0","id":99,"method":"elicitation/create","params":{"message":"sure?"}}"#;
        let unknown = r#"{"jsonrpc":"2.0","id":100,"method":"shell/run","params":{}}"#;
        Reply::Events(vec![(0, unknown.into()), (0, question.into()), (400, done("done"))])
    });
    let mut stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", "")).await;
    let asked = stream.event().await.unwrap();
    assert_eq!(at(&asked, "/method"), "elicitation/create");
    let id = at(&asked, "/id");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"action":"accept"}}}}"#);
    assert_eq!(client.legacy(PATH, &answer).await.status, StatusCode::ACCEPTED);
    assert_eq!(client.legacy(PATH, &answer).await.status, StatusCode::BAD_REQUEST, "an answer is given once");
    assert_eq!(at(&stream.event().await.unwrap(), "/result/content/0/text"), "done");
    let answers: Vec<_> =
        upstream.all().into_iter().filter(|seen| seen.body.get("method").is_none()).collect();
    let of = |id: &str| answers.iter().find(|seen| seen.text("/id") == id).unwrap().clone();
    assert_eq!(of("99").text("/result/action"), "accept");
    assert_eq!(of("100").text("/error/code"), "-32601");
}

#[tokio::test]
async fn a_suspension_cuts_a_stream_and_the_way_to_the_server() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::EventsThenHang(vec![(0, progress(r#""mine""#, "half"))]));
    let mut stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", WITH_TOKEN)).await;
    stream.event().await.unwrap();
    let before = Instant::now();
    node.suspend(client.run).await;
    let last = stream.event().await.unwrap();
    assert_eq!(at(&last, "/result/_meta/dev.ringfence~1decision/code"), "suspended");
    assert!(at(&last, "/result/content/0/text").contains("an incident"));
    assert_eq!(stream.event().await, None);
    assert!(before.elapsed() < Duration::from_secs(2));
    upstream.wait("notifications/cancelled", 1).await;
    assert_eq!(*upstream.closed.lock(), 1);
    let outcome = &node.entries("outcome", 1).await[0];
    assert!(Value::from(outcome.clone()).to_string().contains("cancelled"));
    assert_eq!(client.call(PATH, "echo", "{}").await.code(), "suspended");
}

#[tokio::test]
async fn a_suspension_cuts_a_call_without_a_stream() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Hang);
    let (run, calling) = (client.run, client.clone());
    let call = tokio::spawn(async move { calling.call(PATH, "echo", "{}").await });
    upstream.wait("tools/call", 1).await;
    node.suspend(run).await;
    let answer = tokio::time::timeout(Duration::from_secs(2), call).await.unwrap().unwrap();
    assert_eq!(answer.code(), "suspended");
    assert!(answer.text().contains("may have taken effect"), "{}", answer.text());
}

#[tokio::test]
async fn a_server_that_asks_and_takes_no_answer_cannot_keep_a_call_from_its_end() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let ping = r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;
    upstream.behave(move |seen| match seen.text("/method").as_str() {
        "tools/call" => Reply::EventsThenHang(vec![(0, ping.into())]),
        _ if seen.method == http::Method::GET => Reply::EventsThenHang(vec![(0, ping.into())]),
        _ if seen.body.get("result").is_some() => Reply::Hang,
        _ => Reply::Usual,
    });
    let pinged = async |count: usize| {
        while upstream.all().iter().filter(|seen| seen.body.get("result").is_some()).count() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    for (count, accept) in [(1, "application/json, text/event-stream"), (2, "application/json")] {
        let client = node.client().await.initialize(PATH).await;
        let calling = client.clone();
        let call = tokio::spawn(async move {
            let headers = [("mcp-session-id", calling.session.as_deref().unwrap()), ("accept", accept)];
            calling.send(http::Method::POST, PATH, &headers, &call_body(7, "echo", "{}", "")).await
        });
        pinged(count).await;
        node.suspend(client.run).await;
        let answer = tokio::time::timeout(Duration::from_secs(1), call).await.expect(accept).unwrap();
        assert_eq!(answer.code(), "suspended", "{accept}");
    }
    let client = node.client().await.initialize(PATH).await;
    let stream = client.get(PATH).await;
    pinged(3).await;
    node.suspend(client.run).await;
    tokio::time::timeout(Duration::from_secs(1), stream.drain()).await.expect("the stream ends");
    let client = node.client().await.initialize(PATH).await;
    let stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", "")).await;
    pinged(4).await;
    drop(stream);
    upstream.wait("notifications/cancelled", 3).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_keep_a_suspension_from_the_server() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    let long = "x".repeat(20_000);
    upstream.on_call(move |_| {
        Reply::EventsThenHang((0..2_000).map(|_| (0, progress(r#""mine""#, &long))).collect())
    });
    let stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", WITH_TOKEN)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.suspend(client.run).await;
    upstream.wait("notifications/cancelled", 1).await;
    assert_eq!(*upstream.closed.lock(), 1);
    let bytes = stream.drain().await;
    assert!(bytes < 6 << 20, "{bytes} bytes of 40,000,000 came through");
}

#[tokio::test]
async fn a_client_that_goes_away_calls_its_call_off() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::EventsThenHang(vec![(0, progress(r#""mine""#, "half"))]));
    let mut stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", WITH_TOKEN)).await;
    stream.event().await.unwrap();
    drop(stream);
    assert_eq!(upstream.wait("notifications/cancelled", 1).await[0].text("/params/requestId"), "7");
    upstream.on_call(|_| Reply::Hang);
    let calling = client.clone();
    let call = tokio::spawn(async move { calling.call(PATH, "echo", "{}").await });
    upstream.wait("tools/call", 2).await;
    call.abort();
    upstream.wait("notifications/cancelled", 2).await;
    for outcome in node.entries("outcome", 2).await {
        assert!(Value::from(outcome.clone()).to_string().contains("cancelled"), "{}", Value::from(outcome));
    }
}

#[tokio::test]
async fn a_modern_client_calls_off_by_closing() {
    let upstream = Upstream::modern().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await;
    upstream.on_call(|_| Reply::EventsThenHang(vec![(0, progress(r#""mine""#, "half"))]));
    let params = r#""name":"echo","arguments":{}"#;
    let stream = client.modern_stream(PATH, "tools/call", Some("echo"), params).await;
    upstream.wait("tools/call", 1).await;
    drop(stream);
    for _ in 0..200 {
        if *upstream.closed.lock() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*upstream.closed.lock(), 1);
    assert!(upstream.seen("notifications/cancelled").is_empty());
}

#[tokio::test]
async fn a_legacy_client_calls_off_by_saying_so() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Hang);
    let calling = client.clone();
    let call = tokio::spawn(async move { calling.call(PATH, "echo", "{}").await });
    upstream.wait("tools/call", 1).await;
    let off = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    assert_eq!(client.legacy(PATH, off).await.status, StatusCode::ACCEPTED);
    call.await.unwrap();
    assert_eq!(upstream.wait("notifications/cancelled", 1).await[0].text("/params/requestId"), "7");
}

#[tokio::test]
async fn a_stream_that_the_server_closes_early_is_taken_up_again() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.behave(|seen| match (seen.text("/method").as_str(), seen.header("last-event-id")) {
        ("tools/call", _) => {
            Reply::Raw(200, "text/event-stream", b"id: place\nretry: 10\ndata:\n\n".to_vec())
        }
        (_, "place") => Reply::Events(vec![(0, done("done").replace("$ID", "7"))]),
        _ => Reply::Usual,
    });
    assert_eq!(client.call(PATH, "echo", "{}").await.text(), "done");
}

#[tokio::test]
async fn a_call_whose_stream_cannot_be_taken_up_again_was_sent_all_the_same() {
    let upstream = Upstream::legacy().await;
    let (url, door) = common::door(&upstream.url).await;
    let node = Node::start(&[("tools", &url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Raw(200, "text/event-stream", b"id: a\nretry: 600\ndata:\n\n".to_vec()));
    let calling = client.clone();
    let call = tokio::spawn(async move { calling.call(PATH, "echo", "{}").await });
    upstream.wait("tools/call", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    door.abort();
    let answer = call.await.unwrap();
    assert_eq!(answer.code(), "upstream_failed");
    assert!(answer.text().contains("may have taken effect"), "{}", answer.text());
    let outcome = Value::from(node.entries("outcome", 1).await[0].clone()).to_string();
    assert!(outcome.contains(r#""failed""#), "{outcome}");
}

#[tokio::test]
async fn what_a_legacy_server_says_unasked_reaches_who_listens_until_a_suspension() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.behave(|seen| match seen.method {
        http::Method::GET => Reply::EventsThenHang(vec![
            (0, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.into()),
            (0, r#"{"jsonrpc":"2.0","id":5,"result":{"stray":1}}"#.into()),
        ]),
        _ => Reply::Usual,
    });
    let mut stream = client.get(PATH).await;
    assert_eq!(at(&stream.event().await.unwrap(), "/method"), "notifications/tools/list_changed");
    assert_eq!(stream.event().await, None, "an answer to nothing ends the stream");
    upstream.wait("tools/list", 2).await;
    upstream.behave(|_| Reply::Usual);
    assert_eq!(client.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
    node.suspend(client.run).await;
    assert_eq!(client.get(PATH).await.status, StatusCode::OK, "a refusal is an answer");
}

#[tokio::test]
async fn a_subscription_carries_what_was_asked_for_under_its_identifier() {
    let upstream = Upstream::modern().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await;
    let tagged = |method: &str, id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}},"notifications":{{}}}}}}"#
        )
    };
    upstream.behave(move |seen| match seen.text("/method").as_str() {
        "subscriptions/listen" => {
            let id = if seen.body.pointer("/id").unwrap().as_str().is_some() { r#""other""# } else { "7" };
            Reply::EventsThenHang(vec![
                (0, tagged("subscriptions/acknowledged", id)),
                (0, tagged("tools/list_changed", id)),
            ])
        }
        _ => Reply::Usual,
    });
    let params = r#""notifications":{"toolsListChanged":true,"ToolsListChanged":false}"#;
    for path in [PATH, "/mcp"] {
        let mut stream = client.modern_stream(path, "subscriptions/listen", None, params).await;
        for method in ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"] {
            let event = stream.event().await.unwrap();
            assert_eq!(at(&event, "/method"), method, "{path}");
            assert_eq!(at(&event, "/params/_meta/io.modelcontextprotocol~1subscriptionId"), "7", "{path}");
        }
    }
    for seen in upstream.seen("subscriptions/listen") {
        assert_eq!(seen.text("/params/notifications"), r#"{"toolsListChanged":true}"#);
    }
}
