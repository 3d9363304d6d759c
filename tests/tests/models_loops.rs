//! Runs that go on without getting anywhere are stopped, and told to stop; runs with bad luck are not.

use ringfence_tests::models::{Answered, Api, Ask, Scene, Setup, talk};
use serde_json::{Value, json};

/// The guard as it is unless somebody switches it off, but for its bound on model calls.
async fn scene() -> Scene {
    scene_with("loops: { stale: 4, failing: 5, errors: 5 }, repetition: 3").await
}

async fn scene_with(limits: &str) -> Scene {
    let setup = Setup { limits: limits.to_owned(), model: "retries: 0".to_owned(), ..Setup::default() };
    Scene::start_with(setup).await
}

/// A call of a tool and its result, as messages of the chat API.
fn step(number: usize, tool: &str, arguments: &str, result: &str) -> [Value; 2] {
    let id = format!("call_{number}");
    let function = json!({ "name": tool, "arguments": arguments });
    [
        json!({ "role": "assistant", "content": null,
            "tool_calls": [{ "id": id, "type": "function", "function": function }] }),
        json!({ "role": "tool", "tool_call_id": id, "content": result }),
    ]
}

/// A request whose conversation begins with these words of the user.
fn asked(user: &str, steps: &[[Value; 2]]) -> Ask {
    let mut messages = vec![json!({ "role": "user", "content": user })];
    messages.extend(steps.iter().flatten().cloned());
    Ask::new(Api::Chat, "gpt", "").with("messages", messages)
}

async fn send(scene: &Scene, ask: &Ask) -> Answered {
    talk(&scene.node, &scene.token, ask).await
}

/// How many of so many calls were answered before one was refused, and what that one was told.
async fn answered_before(scene: &Scene, most: usize, ask: impl Fn(usize) -> Ask) -> (usize, Option<Value>) {
    for number in 0..most {
        let answered = send(scene, &ask(number)).await;
        if answered.status != 200 {
            assert_eq!(answered.status, 403, "{}", answered.text);
            assert_eq!(answered.header("x-should-retry"), "false", "trying again is futile");
            return (number, Some(answered.error(Api::Chat)));
        }
    }
    (most, None)
}

#[track_caller]
fn expect_told(error: Option<&Value>, words: &str) {
    let error = error.unwrap_or(&Value::Null);
    assert_eq!(error["ringfence"]["code"], "repetition", "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(words) && message.contains("Stop"), "{message}");
}

#[tokio::test]
async fn the_same_request_with_one_failing_result_is_refused_after_a_while() {
    let scene = scene().await;
    let failed = [step(0, "read", "{}", "Error: no such file")];
    let (answered, told) = answered_before(&scene, 12, |_| asked("mock:tokens=1", &failed)).await;
    assert_eq!(answered, 4);
    expect_told(told.as_ref(), "same failing result");
    // Another result is another matter, and so is another conversation.
    let other = [step(0, "read", "{}", "Error: not yours")];
    assert_eq!(send(&scene, &asked("mock:tokens=1", &other)).await.status, 200);
    assert_eq!(send(&scene, &asked("Please. mock:tokens=1", &failed)).await.status, 200);
}

#[tokio::test]
async fn a_window_that_slides_over_failing_steps_is_refused_after_a_while() {
    let scene = scene().await;
    let window = |number| {
        let failing = [number, number + 1].map(|number| step(number, "read", "{}", "Error: no such file"));
        asked("mock:tokens=1", &failing)
    };
    let (answered, told) = answered_before(&scene, 12, window).await;
    assert_eq!(answered, 3, "the first shows two of them");
    expect_told(told.as_ref(), "same failing result");
}

#[tokio::test]
async fn a_user_who_asks_on_after_a_tool_has_failed_is_answered() {
    let scene = scene().await;
    let failed = step(0, "read", "{}", "Error: no such file");
    let mut messages = vec![json!({ "role": "user", "content": "Read it. mock:tokens=1" })];
    messages.extend(failed);
    for number in 0..8 {
        let ask = Ask::new(Api::Chat, "gpt", "").with("messages", messages.clone());
        let answered = send(&scene, &ask).await;
        assert_eq!(answered.status, 200, "{number}: {}", answered.text);
        messages.push(json!({ "role": "assistant", "content": answered.said(Api::Chat) }));
        messages.push(json!({ "role": "user", "content": format!("And {number}? mock:tokens=1") }));
    }
}

#[tokio::test]
async fn what_a_library_sends_again_after_an_error_is_no_loop() {
    let scene = scene_with("loops: { stale: 4, failing: 5, errors: off }").await;
    let failed = [step(0, "read", "{}", "Error: no such file")];
    for status in [500, 503, 429, 429, 500, 502, 429, 503] {
        let ask = asked(&format!("mock:status={status}"), &failed).header("x-stainless-retry-count", "1");
        assert_ne!(send(&scene, &ask).await.status, 403, "{status}");
    }
    // The conversation is another for each status. Once more with the same words, of which only the first seven fail.
    let again = asked("mock:status=500,times=7,tokens=1", &failed);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(send(&scene, &again).await.status);
    }
    let expected = [[500; 7].to_vec(), [200; 4].to_vec(), vec![403]].concat();
    assert_eq!(statuses, expected);
}

#[tokio::test]
async fn ping_pong_between_model_and_tools_is_refused() {
    let scene = scene().await;
    let steps: Vec<_> = (0..12)
        .map(|number| {
            let (tool, result) = if number % 2 == 0 { ("ping", "pong") } else { ("pong", "ping") };
            step(number, tool, "{}", result)
        })
        .collect();
    let (answered, told) =
        answered_before(&scene, 12, |number| asked("mock:tokens=1", &steps[..number])).await;
    assert_eq!(answered, 6, "three rounds of two");
    expect_told(told.as_ref(), "cycle of 2 tool calls");
    // Where each call has another argument nothing is repeated.
    let scene = self::scene().await;
    let steps: Vec<_> =
        (0..12).map(|number| step(number, "ping", &format!("{{\"page\":{number}}}"), "pong")).collect();
    let (answered, told) =
        answered_before(&scene, 12, |number| asked("mock:tokens=1", &steps[..number])).await;
    assert_eq!((answered, told), (12, None));
}

#[tokio::test]
async fn a_conversation_that_grows_and_gets_nowhere_is_refused() {
    let scene = scene().await;
    let grown = |number: usize, role: &str| {
        let mut messages = vec![json!({ "role": "user", "content": "mock:tokens=1" })];
        messages
            .extend((0..number).map(|number| json!({ "role": role, "content": format!("Hm, {number}.") })));
        Ask::new(Api::Chat, "gpt", "").with("messages", messages)
    };
    let (answered, told) = answered_before(&scene, 12, |number| grown(number, "assistant")).await;
    assert_eq!(answered, 5, "the first, and four that only grew");
    expect_told(told.as_ref(), "grown 4 times");
    let scene = self::scene().await;
    let (answered, told) = answered_before(&scene, 12, |number| grown(number, "user")).await;
    assert_eq!((answered, told), (12, None), "words of the user are news");
}

#[tokio::test]
async fn a_run_that_providers_turn_away_is_held_back_and_others_are_not() {
    for status in [401, 403, 429, 500] {
        let scene = scene().await;
        let ask = Ask::new(Api::Chat, "gpt", &format!("mock:status={status}"));
        for _ in 0..5 {
            let answered = send(&scene, &ask).await;
            let code = &answered.error(Api::Chat)["ringfence"]["code"];
            assert_ne!(code, "breaker_open", "{status}: {}", answered.text);
        }
        let answered = send(&scene, &ask).await;
        let error = answered.error(Api::Chat);
        assert_eq!(error["ringfence"]["code"], "breaker_open", "{status}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains("Stop")), "{error}");
        assert_eq!(scene.seen().await.requests, 5, "{status}");
        let other = scene.mint("assistant").await;
        let answered = talk(&scene.node, &other, &Ask::new(Api::Chat, "gpt", "mock:tokens=1")).await;
        assert_eq!(answered.status, 200, "{status}: {}", answered.text);
    }
    // What is wrong with the request is the agent's own doing.
    let scene = scene().await;
    for status in [400, 404, 413, 422, 400, 404, 413, 422] {
        let ask = Ask::new(Api::Chat, "gpt", &format!("mock:status={status}"));
        let answered = send(&scene, &ask).await;
        assert_ne!(answered.error(Api::Chat)["ringfence"]["code"], "breaker_open", "{status}");
    }
}
