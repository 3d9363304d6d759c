//! Providers on bad days in the two APIs in which a model says nothing: embeddings, and counting tokens.

use ringfence_tests::models::{Answered, Api, Ask, INPUT_NANOS, Scene, Setup, talk};

const BUDGET: &str = "10.00";
const BUDGET_NANOS: u64 = 10_000_000_000;

fn ask(api: Api, says: &str) -> Ask {
    Ask::new(api, api.models()[0], says)
}

/// Asks in both and expects the money to be right after it.
async fn both(setup: Setup, says: &str, check: impl Fn(Api, &Answered)) -> Scene {
    let scene = Scene::start_with(setup).await;
    for api in Api::SILENT {
        let answered = talk(&scene.node, &scene.token, &ask(api, says)).await;
        println!("{api:?}: {} {}", answered.status, answered.text);
        check(api, &answered);
    }
    scene.seen().await;
    scene.expect_left(BUDGET_NANOS).await;
    scene
}

fn usual() -> Setup {
    Setup::budget(BUDGET)
}

/// What each of the two was charged for, and on which basis.
async fn charges(scene: &Scene) -> Vec<(u64, String)> {
    let log = scene.settled().await;
    let calls = log.calls.iter().take(Api::SILENT.len());
    calls.map(|call| (call.charged(), call.basis())).collect()
}

#[track_caller]
fn expect_failed(api: Api, answered: &Answered) {
    assert_eq!(answered.status, 502, "{api:?}: {}", answered.text);
    assert_eq!(answered.error(api)["ringfence"]["code"], "upstream_failed", "{api:?}");
}

#[tokio::test]
async fn embeddings_are_charged_as_reported_and_counting_costs_nothing() {
    let scene = both(usual(), "mock:input=50", |api, answered| {
        assert_eq!(answered.status, 200, "{api:?}: {}", answered.text);
        let body = answered.json();
        match api {
            Api::CountTokens => assert_eq!(body["input_tokens"], 50, "{body}"),
            _ => assert!(body["data"][0]["embedding"].is_array(), "{body}"),
        }
    })
    .await;
    let reported = |nanos| (nanos, "reported".to_owned());
    assert_eq!(charges(&scene).await, [reported(50 * INPUT_NANOS), reported(0)]);
}

#[tokio::test]
async fn a_status_that_stays_is_passed_on_after_the_retries_and_costs_nothing() {
    for status in [500, 503, 529] {
        let scene = both(usual(), &format!("mock:status={status}"), |api, answered| {
            assert_eq!(answered.status, status, "{api:?}: {}", answered.text);
            answered.error(api);
        })
        .await;
        // The probe is one more.
        assert_eq!(scene.seen().await.requests, 2 * 2 + 1, "one retry");
        assert_eq!(charges(&scene).await, [(0, "nothing".to_owned()), (0, "nothing".to_owned())]);
    }
}

#[tokio::test]
async fn a_429_is_tried_again_when_the_provider_wants_and_passed_on_when_that_is_too_late() {
    both(usual(), "mock:status=429,retry_after=60", |api, answered| {
        assert_eq!(
            (answered.status, answered.header("retry-after")),
            (429, "60"),
            "{api:?}: {}",
            answered.text
        );
        answered.error(api);
    })
    .await;
    for api in Api::SILENT {
        let scene = Scene::start_with(usual()).await;
        let again = ask(api, "mock:status=429,retry_after=1,times=1");
        let answered = talk(&scene.node, &scene.token, &again).await;
        assert_eq!(answered.status, 200, "{api:?}: {}", answered.text);
        assert_eq!(scene.seen().await.requests, 2, "{api:?}");
    }
}

#[tokio::test]
async fn what_is_cut_or_garbage_is_an_error_and_charged_for_what_may_have_been_read() {
    for says in ["mock:cut_after=0", "mock:cut_after=1", "mock:garbage_at=0"] {
        let scene = both(usual(), says, expect_failed).await;
        let log = scene.settled().await;
        for call in log.calls.iter().take(2) {
            assert!(call.charged() <= call.reserved, "{says}: {call:?}");
            assert_ne!(call.basis(), "reported", "{says}: nobody has reported anything: {call:?}");
        }
        // Embeddings cost what is read, and that was read.
        let embedding = &log.calls[0];
        assert!(embedding.charged() >= INPUT_NANOS, "{says}: {embedding:?}");
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    for says in ["mock:hang", "mock:hang_after=1"] {
        let model = "retries: 0, timeout: 1s".to_owned();
        let scene = both(Setup { model, ..usual() }, says, |api, answered| {
            expect_failed(api, answered);
            assert!(answered.text.contains("in time"), "{api:?}: {}", answered.text);
        })
        .await;
        assert_eq!(scene.seen().await.cut_by_client, 2, "{says}");
    }
}

#[tokio::test]
async fn usage_that_is_missing_is_counted() {
    let scene = both(usual(), "mock:usage=none", |api, answered| {
        assert_eq!(answered.status, 200, "{api:?}: {}", answered.text);
    })
    .await;
    let charges = charges(&scene).await;
    let truth = scene.mock.stats().by_api["embeddings"].input * INPUT_NANOS;
    assert!(charges[0].0 >= truth && charges[0].1 == "counted", "{truth}: {charges:?}");
    assert_eq!(charges[1], (0, "reported".to_owned()), "counting costs nothing, whatever is said");
}

#[tokio::test]
async fn a_provider_that_is_gone_is_an_error_that_costs_nothing() {
    let Scene { node, mock, token } = Scene::start_with(usual()).await;
    mock.stop().await;
    for api in Api::SILENT {
        expect_failed(api, &talk(&node, &token, &ask(api, "mock:")).await);
    }
}
