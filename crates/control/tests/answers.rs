//! Models that nobody serves: a whole node with scripts and recordings, and an agent with nothing but a socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]
#![allow(dead_code, reason = "of the operators' helpers only some are needed here")]

mod operator;

use std::os::unix::fs::PermissionsExt as _;

use operator::Place;
use ringfence_control::config::load;
use ringfence_control::{Node, check_scripts, compile};
use ringfence_json::{Limits, Value, parse};
use ringfence_mock_model::{MockModel, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const POLICY: &str = "rules:\n  - { name: models, match: { kind: model_call }, decision: ALLOW }\n";

const SCRIPT: &str = "
rules:
  - { when: { contains: busy }, once: true, fail: { status: 503, retry_after: 0 } }
  - { when: { contains: broken }, fail: { status: 400, message: The script says no. } }
  - when: { contains: weather, result: false, tool: look_* }
    call: [{ tool: look_up, arguments: { city: Köln, days: 2 } }]
  - { when: { contains: weather, result: { tool: look_up, contains: RAIN } }, say: Take an umbrella. }
  - { when: { contains: dear }, say: Dear., usage: { input: 1000, cached_input: 500, output: 300, reasoning: 100 } }
  - { when: { contains: cut }, say: one two three four five, cut_after: 2 }
  - { when: { contains: slow }, say: late, delay: 30s }
  - { when: { contains: long }, say: one two three four five six seven eight nine ten eleven twelve }
  - { when: { contains: endless }, say: a b c d e f g h i j k l m n o p, pause: 2s }
  - { when: { contains: hello }, think: Somebody greets me., say: Good morning Köln! }
";

/// A node with these models, and the token of a run.
async fn started(models: &str, names: &str) -> (Place, Node, String) {
    let place = Place::new();
    place.write("safety-policy.yaml", POLICY);
    place.write("script.yaml", SCRIPT);
    configure(&place, models, names);
    let node = place.start().await;
    let token = token(&place, &node).await;
    (place, node, token)
}

fn configure(place: &Place, models: &str, names: &str) {
    let agents = "agents: { assistant: { tools: [] } }";
    let text = place.configuration();
    assert!(text.contains(agents));
    let with = format!("agents: {{ assistant: {{ tools: [], models: [{names}] }} }}\n    models:\n{models}");
    place.write("ringfence.yaml", &text.replace(agents, &with));
}

async fn token(place: &Place, node: &Node) -> String {
    let mint = r#"{"workspace":"lab","agent":"assistant"}"#;
    let minted = place.tcp(node, "POST", "/api/v1/tokens", Some(&place.admin), mint).await;
    assert_eq!(minted.status, 200, "{}", minted.body);
    minted.text("token")
}

const SCRIPTED: &str = "      said: { provider: scripted, script: script.yaml, first_token: 1s, timeout: 5s, price: { input: 2, cached_input: 1, output: 10 } }\n";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Said {
    fn json(&self) -> Value {
        parse(&self.body, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn at(&self, pointer: &str) -> String {
        let value = self.json();
        let found = value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}: {}", self.text()));
        found.as_str().map_or_else(|| String::from_utf8(found.to_bytes()).unwrap(), str::to_owned)
    }
}

/// What an agent that asks so is told.
async fn ask(node: &Node, token: &str, path: &str, body: &str) -> Said {
    let host = node.addresses().gateway.strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = &bytes[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
    Said { status, head, body }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return all;
        }
        all.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}

const CHAT: &str = "/openai/v1/chat/completions";
const RESPONSES: &str = "/openai/v1/responses";
const MESSAGES: &str = "/anthropic/v1/messages";

fn chat(text: &str, more: &str) -> String {
    format!(r#"{{"model":"said","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
}

fn messages(text: &str, more: &str) -> String {
    format!(r#"{{"model":"said","max_tokens":1000,"messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
}

fn responses(text: &str, more: &str) -> String {
    format!(r#"{{"model":"said","input":"{text}"{more}}}"#)
}

/// What the books have of all calls so far, in nano-dollars; they are behind for a moment.
async fn spent(place: &Place, node: &Node, calls: u64) -> u64 {
    for _ in 0..200 {
        let answer = place.tcp(node, "GET", "/api/v1/spend", Some(&place.admin), "").await;
        let value = parse(answer.body.as_bytes(), &Limits::default()).unwrap();
        let total = value.get("total").unwrap_or_else(|| panic!("{}", answer.body));
        if total.get("calls").and_then(Value::as_u64) >= Some(calls) {
            return total
                .get("usd_nanos")
                .and_then(Value::as_u64)
                .unwrap_or_else(|| panic!("{}", answer.body));
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the books never had {calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_speaks_every_api_plain_and_streamed() {
    let (_place, node, token) = started(SCRIPTED, "said").await;
    let stream = r#","stream":true"#;
    for (path, body, text) in [
        (CHAT, chat("hello", ""), "/choices/0/message/content"),
        (RESPONSES, responses("hello", ""), "/output/1/content/0/text"),
        (MESSAGES, messages("hello", ""), "/content/1/text"),
    ] {
        let said = ask(&node, &token, path, &body).await;
        assert_eq!((said.status, said.at(text).as_str()), (200, "Good morning Köln!"), "{}", said.text());
        assert!(said.head.contains("x-ringfence-action: act_") && said.head.contains("request-id: req_"));
    }
    for (path, body, end) in [
        (CHAT, chat("hello", stream), "data: [DONE]\n\n"),
        (RESPONSES, responses("hello", stream), "\"metadata\":{}}}\n\n"),
        (MESSAGES, messages("hello", stream), "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
    ] {
        let said = ask(&node, &token, path, &body).await;
        assert!(said.status == 200 && said.head.contains("text/event-stream"), "{}", said.head);
        let text = said.text();
        assert!(text.contains("Good") && text.contains(" morning") && text.ends_with(end), "{text}");
    }
    let counted = ask(
        &node,
        &token,
        "/anthropic/v1/messages/count_tokens",
        r#"{"model":"said","messages":[{"role":"user","content":"How much is this?"}]}"#,
    )
    .await;
    assert!(
        counted.status == 200 && counted.at("/input_tokens").parse::<u64>().unwrap() > 4,
        "{}",
        counted.text()
    );
    let embed = r#"{"model":"said","input":["a","b","a"],"dimensions":4}"#;
    let embedded = ask(&node, &token, "/openai/v1/embeddings", embed).await;
    assert_eq!(embedded.at("/data/0/embedding"), embedded.at("/data/2/embedding"));
    assert_ne!(embedded.at("/data/0/embedding"), embedded.at("/data/1/embedding"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_calls_tools_and_answers_to_what_they_bring() {
    let (_place, node, token) = started(SCRIPTED, "said").await;
    let tools =
        r#","tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object"}}}]"#;
    let said = ask(&node, &token, CHAT, &chat("weather?", tools)).await;
    assert_eq!(said.at("/choices/0/finish_reason"), "tool_calls", "{}", said.text());
    let call = "/choices/0/message/tool_calls/0";
    assert_eq!(said.at(&format!("{call}/function/arguments")), r#"{"city":"Köln","days":2}"#);
    let id = said.at(&format!("{call}/id"));
    let next = format!(
        r#"{{"model":"said","messages":[{{"role":"user","content":"weather?"}},{{"role":"assistant","content":null,"tool_calls":[{}]}},{{"role":"tool","tool_call_id":"{id}","content":"heavy rain"}}]}}"#,
        said.at(call)
    );
    let said = ask(&node, &token, CHAT, &next).await;
    assert_eq!(said.at("/choices/0/message/content"), "Take an umbrella.", "{}", said.text());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_says_was_used_is_what_is_booked() {
    let (place, node, token) = started(SCRIPTED, "said").await;
    // As long as what is said to be read: more than was set aside would be an incident.
    let dear = format!("dear {}", "me ".repeat(600));
    for body in [chat(&dear, ""), chat(&dear, r#","stream":true"#)] {
        let said = ask(&node, &token, CHAT, &body).await;
        assert_eq!(said.status, 200, "{}", said.text());
    }
    let said = ask(&node, &token, MESSAGES, &messages(&dear, "")).await;
    assert_eq!(said.at("/usage/output_tokens"), "400");
    // 1,000 at 2, 500 at 1 and 400 at 10 dollars for a million, three times.
    assert_eq!(spent(&place, &node, 3).await, 3 * (2_000_000 + 500_000 + 4_000_000));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_fail_as_providers_do() {
    let (_place, node, token) = started(SCRIPTED, "said").await;
    let said = ask(&node, &token, CHAT, &chat("broken", "")).await;
    assert_eq!((said.status, said.at("/error/message").as_str()), (400, "The script says no."));
    let said = ask(&node, &token, MESSAGES, &messages("nothing fits this", "")).await;
    assert_eq!((said.status, said.at("/error/type").as_str()), (404, "not_found_error"));
    assert!(said.text().contains("no rule of the script"), "{}", said.text());
    // Turned down once, tried again by the gateway.
    let said = ask(&node, &token, CHAT, &chat("busy hello", "")).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let said = ask(&node, &token, CHAT, &chat("slow", "")).await;
    assert_eq!((said.status, said.text().contains("did not answer in time")), (502, true), "{}", said.text());
    let said = ask(&node, &token, CHAT, &chat("cut", r#","stream":true"#)).await;
    let text = said.text();
    assert!(text.contains("one") && text.contains(" two") && !text.contains("three"), "{text}");
    assert!(text.contains("provider broke") && !text.contains("[DONE]"), "{text}");
    let said = ask(&node, &token, CHAT, &chat("cut", "")).await;
    assert_eq!(said.status, 502, "{}", said.text());
    let said = ask(&node, &token, CHAT, &chat("long", r#","max_tokens":8"#)).await;
    assert_eq!(said.at("/choices/0/finish_reason"), "length", "{}", said.text());
    assert!(said.at("/choices/0/message/content").starts_with("one"), "{}", said.text());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_ends_a_scripted_stream() {
    let (place, node, token) = started(SCRIPTED, "said").await;
    let asking = tokio::spawn({
        let (host, token) = (node.addresses().gateway.clone(), token.clone());
        async move {
            let host = host.strip_prefix("http://").unwrap().to_owned();
            let mut stream = TcpStream::connect(&host).await.unwrap();
            let body = chat("endless", r#","stream":true"#);
            let request = format!(
                "POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut all = vec![0; 1];
            stream.read_exact(&mut all).await.unwrap();
            stream.read_to_end(&mut all).await.unwrap();
            String::from_utf8_lossy(&all).into_owned()
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let suspend = r#"{"workspace":"lab","reason":"an incident"}"#;
    let answer = place.tcp(&node, "POST", "/api/v1/suspensions", Some(&place.admin), suspend).await;
    assert!(answer.status < 300, "{}", answer.body);
    let text = asking.await.unwrap();
    assert!(text.contains("an incident") || text.contains("suspended"), "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_wrong_keeps_a_node_from_starting() {
    let place = Place::new();
    place.write("safety-policy.yaml", POLICY);
    place.write("script.yaml", "rules:\n  - { says: hello }\n");
    configure(&place, SCRIPTED, "said");
    let error = place.try_start().await.err().unwrap().to_string();
    assert!(
        error.contains("model `said`")
            && error.contains("script.yaml:2:")
            && error.contains("did you mean `say`?"),
        "{error}"
    );
    let checked = load(&place.options().config).and_then(|loaded| compile(loaded, &[]));
    let shown = checked.and_then(check_scripts).unwrap_err().render();
    assert!(shown.contains("script.yaml") && shown.contains("{ says: hello }"), "{shown}");
    place.write("script.yaml", SCRIPT);
    let checked = load(&place.options().config).and_then(|loaded| compile(loaded, &[]));
    assert!(checked.and_then(check_scripts).is_ok());
}

/// A node that records what the stand-in for the providers answers.
async fn recording(mock: &MockModel, place: &Place) -> Node {
    place.write("safety-policy.yaml", POLICY);
    place.write("key", "sk-of-the-provider-0123456789");
    let url = mock.url();
    let record = format!(
        "      said: {{ provider: replay, recording: open.jsonl, record: true, base_url: \"{url}/v1\", key: \"file:key\", model: gpt-mock, price: free, retries: 0 }}
      claude: {{ provider: replay, recording: claude.jsonl, record: true, api: anthropic, base_url: \"{url}\", key: \"file:key\", model: claude-mock, price: free }}\n"
    );
    configure(place, &record, "said, claude");
    place.start().await
}

fn replaying(place: &Place) {
    let replay = "      said: { provider: replay, recording: open.jsonl, model: gpt-mock, price: free, retries: 0 }
      claude: { provider: replay, recording: claude.jsonl, api: anthropic, model: claude-mock, price: free }\n";
    configure(place, replay, "said, claude");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_answered_byte_for_byte_without_the_provider() {
    let mock = MockModel::start(Options::default()).await.unwrap();
    let place = Place::new();
    let node = recording(&mock, &place).await;
    let stream = r#","stream":true"#;
    let claude = |more: &str| {
        format!(r#"{{"model":"claude","max_tokens":50,"messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
    };
    let through = chat("translated", stream).replace("\"said\"", "\"claude\"");
    let calls = [
        (CHAT, chat("one", "")),
        (CHAT, chat("one", stream)),
        (CHAT, chat("mock:split_utf8", stream)),
        (CHAT, chat("again", "")),
        (CHAT, chat("again", "")),
        (RESPONSES, responses("hi", stream)),
        (RESPONSES, responses("hi", "")),
        (MESSAGES, claude("")),
        (MESSAGES, claude(stream)),
        ("/openai/v1/embeddings", r#"{"model":"said","input":"text"}"#.to_owned()),
        (CHAT, chat("mock:status=429,retry_after=7", "")),
        (CHAT, chat("mock:cut_after=3", stream)),
        (CHAT, through),
    ];
    let token = token(&place, &node).await;
    let mut recorded = Vec::new();
    for (path, body) in &calls {
        recorded.push(ask(&node, &token, path, body).await);
    }
    node.stop().await;
    drop(mock);
    for file in ["open.jsonl", "claude.jsonl"] {
        let path = place.options().config.with_file_name(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("sk-of-the-provider"), "a key never is in a recording");
        assert!(!text.contains("rfr_"), "nor an agent's token");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    replaying(&place);
    let node = place.start().await;
    let token = self::token(&place, &node).await;
    for ((path, body), before) in calls.iter().zip(&recorded) {
        let now = ask(&node, &token, path, body).await;
        // What this gateway itself writes has the action in it, and what it translates the time.
        let is_translated = *path == CHAT && body.contains("\"claude\"");
        let own = |text: String| {
            let text = without_actions(&text);
            if is_translated { without_times(&text) } else { text }
        };
        assert_eq!((now.status, own(now.text())), (before.status, own(before.text())), "{path} {body}");
        let retry =
            |said: &Said| said.head.lines().find(|line| line.starts_with("retry-after")).map(str::to_owned);
        assert_eq!(retry(&now), retry(before));
    }
    assert_ne!(recorded[3].body, recorded[4].body, "the mock numbers its answers, so the order is seen");
    let last = ask(&node, &token, CHAT, &chat("again", "")).await;
    assert_eq!(last.body, recorded[4].body, "then the last one again");

    let unknown = ask(&node, &token, CHAT, &chat("never asked", "")).await;
    assert_eq!(
        (unknown.status, unknown.at("/error/code").as_str()),
        (404, "not_recorded"),
        "{}",
        unknown.text()
    );
    assert!(unknown.text().contains("`record: true`"), "{}", unknown.text());
    node.stop().await;
}

/// A text without ids of actions in it, which are new each time.
fn without_actions(text: &str) -> String {
    let mut parts = text.split("act_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "act_" + part.get(26..).unwrap_or_default())
}

/// A text without the times at which it was made.
fn without_times(text: &str) -> String {
    let mut parts = text.split("\"created\":");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + "\"created\":" + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_missing_or_wrong_keeps_a_node_from_starting() {
    let place = Place::new();
    place.write("safety-policy.yaml", POLICY);
    replaying(&place);
    let error = place.try_start().await.err().unwrap().to_string();
    assert!(error.contains("there is no recording") && error.contains("`record: true`"), "{error}");
    place.write("open.jsonl", "{\"api\":\"chat\"}\n");
    place.write("claude.jsonl", "");
    let error = place.try_start().await.err().unwrap().to_string();
    assert!(error.contains("open.jsonl:1: `model` is missing"), "{error}");
}
