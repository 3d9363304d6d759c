//! Providers on bad days: the agent is told in its provider's own words, nothing stays set aside, and the run goes on.

use std::collections::BTreeSet;
use std::sync::Mutex;

use ringfence_mock_model::Counts;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::models::{Answered, Api, Ask, INPUT_NANOS, OUTPUT_NANOS, Scene, Setup, talk};
use ringfence_tests::patience::eventually;

/// The workspace's budget in these tests: ten dollars, which is a million tokens written.
const BUDGET: &str = "10.00";
const BUDGET_NANOS: u64 = 10_000_000_000;

/// One way to ask.
#[derive(Clone, Copy, Debug)]
struct Way {
    api: Api,
    model: &'static str,
    streamed: bool,
}

fn ways() -> Vec<Way> {
    let models = Api::ALL.into_iter().flat_map(|api| api.models().iter().map(move |model| (api, *model)));
    models.flat_map(|(api, model)| [false, true].map(|streamed| Way { api, model, streamed })).collect()
}

impl Way {
    fn ask(self, says: &str) -> Ask {
        let ask = Ask::new(self.api, self.model, says);
        let member = if self.api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
        ask.with(member, 1000).with("stream", self.streamed)
    }
}

async fn scene() -> Scene {
    Scene::start_with(Setup::budget(BUDGET)).await
}

/// What came of asking in several ways.
struct Day {
    scene: Scene,
    /// Each way, and what the provider read and wrote for it, at its prices.
    truths: Vec<(Way, u64)>,
}

/// Asks in every way, with what `check` makes of each answer, and expects the money to be right after all of it.
async fn every_way(setup: Setup, says: &str, check: impl Fn(Way, &Answered)) -> Day {
    some_ways(ways(), setup, says, check).await
}

/// As [`every_way`], in these.
async fn some_ways(ways: Vec<Way>, setup: Setup, says: &str, check: impl Fn(Way, &Answered)) -> Day {
    let scene = Scene::start_with(setup).await;
    let mut truths = Vec::new();
    for way in ways {
        let before = truth(&scene.seen().await);
        let answered = talk(&scene.node, &scene.token, &way.ask(says)).await;
        println!("{way:?}: {} {}", answered.status, answered.text);
        check(way, &answered);
        truths.push((way, truth(&scene.seen().await) - before));
    }
    scene.expect_left(BUDGET_NANOS).await;
    Day { scene, truths }
}

/// What the provider read and wrote, at its prices.
fn truth(seen: &Counts) -> u64 {
    seen.input * INPUT_NANOS + seen.output * OUTPUT_NANOS
}

impl Day {
    /// Expects each way to be charged on this basis: exactly what the provider read and wrote where it said so, and
    /// where not, no less than that and no more than what was set aside.
    async fn expect_paid(&self, basis: impl Fn(Way) -> &'static str) {
        let log = self.scene.settled().await;
        // The last call is the probe for what is left.
        assert_eq!(log.calls.len(), self.truths.len() + 1, "one call for each way");
        for ((way, truth), call) in self.truths.iter().zip(&log.calls) {
            let at = format!("{way:?}: {truth} were used: {call:?}");
            assert_eq!(call.basis(), basis(*way), "{at}");
            match basis(*way) {
                "reported" => assert_eq!(call.charged(), *truth, "{at}"),
                _ => assert!((*truth..=call.reserved).contains(&call.charged()), "{at}"),
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_well_is_passed_through_in_every_way() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=5,chunks=5", |way, answered| {
        assert_eq!(answered.status, 200, "{way:?}");
        assert_eq!(answered.said(way.api).split_whitespace().count(), 5, "{way:?}: {}", answered.text);
        assert!(!way.streamed || answered.is_complete(way.api), "{way:?}: {}", answered.text);
    })
    .await;
    day.expect_paid(|_| "reported").await;
}

#[tokio::test]
async fn what_a_provider_reports_is_what_is_booked_to_the_nano_dollar() {
    let Day { scene, .. } =
        every_way(Setup::budget(BUDGET), "mock:tokens=7,reasoning=3,input=50,cached=20", |_, _| ()).await;
    let seen = scene.mock.stats();
    let log = scene.settled().await;
    // The probe of `every_way` is one token more, of an input that is counted.
    let ways = ways().len() as u64;
    assert_eq!(seen.all.output, ways * 10 + 1);
    let calls = &log.calls[..log.calls.len() - 1];
    assert!(calls.iter().all(|call| call.charged() == 50 * INPUT_NANOS + 10 * OUTPUT_NANOS), "{calls:?}");
}

#[tokio::test]
async fn a_status_that_stays_is_passed_on_after_the_retries_and_costs_nothing() {
    for (model, status) in [("gpt", 500), ("gpt", 503), ("claude", 529), ("claude", 500)] {
        let scene = scene().await;
        for way in ways().into_iter().filter(|way| way.model == model) {
            let before = scene.mock.stats().all.requests;
            let answered = talk(&scene.node, &scene.token, &way.ask(&format!("mock:status={status}"))).await;
            answered.error(way.api);
            let anthropic = way.api == Api::Messages;
            // Each family has its own status for too much to do.
            let expected = match status {
                529 if !anthropic => 503,
                503 if anthropic => 529,
                status => status,
            };
            assert_eq!(answered.status, expected, "{way:?}: {}", answered.text);
            assert_eq!(scene.mock.stats().all.requests - before, 2, "{way:?}: one retry");
        }
        assert_eq!(scene.settled().await.spent(), 0);
        scene.expect_left(BUDGET_NANOS).await;
    }
}

#[tokio::test]
async fn a_429_is_tried_again_when_the_provider_wants_and_passed_on_when_that_is_too_late() {
    let scene = scene().await;
    for way in ways().into_iter().filter(|way| way.streamed) {
        let says = format!("mock:status=429,retry_after=1,times=1,tokens=3,id={:?}-{}", way.api, way.model);
        let answered = talk(&scene.node, &scene.token, &way.ask(&says)).await;
        assert!(answered.status == 200 && answered.is_complete(way.api), "{way:?}: {}", answered.text);

        let before = scene.mock.stats().all.requests;
        let answered = talk(&scene.node, &scene.token, &way.ask("mock:status=429,retry_after=60")).await;
        assert_eq!(
            (answered.status, answered.header("retry-after")),
            (429, "60"),
            "{way:?}: {}",
            answered.text
        );
        answered.error(way.api);
        assert_eq!(scene.mock.stats().all.requests - before, 1, "{way:?}: nobody waits for a minute");
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_ends_with_an_error_and_is_charged_as_far_as_it_came() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=40,chunks=20,cut_after=10", |way, answered| {
        assert_eq!(answered.status, if way.streamed { 200 } else { 502 }, "{way:?}: {}", answered.text);
        assert_eq!(answered.error(way.api)["ringfence"]["code"], "upstream_failed", "{way:?}");
        if way.streamed {
            assert_eq!(answered.said(way.api).split_whitespace().count(), 20, "{way:?}: {}", answered.text);
        }
    })
    .await;
    // Of an answer in one piece nobody has seen how much of it was written.
    day.expect_paid(|way| if way.streamed { "counted" } else { "reserved" }).await;
}

#[tokio::test]
async fn a_provider_that_closes_before_its_answer_is_an_error() {
    every_way(Setup::budget(BUDGET), "mock:tokens=40,cut_after=0", |way, answered| {
        let error = answered.error(way.api);
        assert_eq!(error["ringfence"]["code"], "upstream_failed", "{way:?}");
    })
    .await;
}

#[tokio::test]
async fn garbage_ends_the_answer_with_an_error() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=40,chunks=20,garbage_at=10", |way, answered| {
        assert_eq!(answered.status, if way.streamed { 200 } else { 502 }, "{way:?}: {}", answered.text);
        assert_eq!(answered.error(way.api)["ringfence"]["code"], "upstream_failed", "{way:?}");
    })
    .await;
    // What cannot be read cannot be counted.
    day.expect_paid(|_| "reserved").await;
}

#[tokio::test]
async fn bytes_may_come_in_any_pieces() {
    for how in ["split_utf8", "slice=1", "slice=7,crlf", "comments,flush", "crlf,comments,split_utf8"] {
        let says = format!("mock:tokens=30,chunks=10,{how}");
        let texts = Mutex::new(BTreeSet::new());
        every_way(Setup::budget(BUDGET), &says, |way, answered| {
            assert_eq!(answered.status, 200, "{how}: {way:?}: {}", answered.text);
            assert!(!way.streamed || answered.is_complete(way.api), "{how}: {way:?}: {}", answered.text);
            assert!(!answered.text.contains('\u{fffd}'), "{how}: {way:?}: {}", answered.text);
            let said = answered.said(way.api);
            assert_eq!(said.split_whitespace().count(), 30, "{how}: {way:?}: {}", answered.text);
            texts.lock().unwrap().insert(said);
        })
        .await;
        let texts = texts.into_inner().unwrap();
        assert_eq!(texts.len(), 1, "{how}: in every way the same is said: {texts:?}");
    }
}

/// A model with these bounds on its time, which is not asked again.
fn timed(timeout: &str, first_token: &str) -> Setup {
    let model = format!("retries: 0, timeout: {timeout}, first_token: {first_token}");
    Setup { model, ..Setup::budget(BUDGET) }
}

/// Expects an answer to have been given up because it took too long.
#[track_caller]
fn expect_given_up(way: Way, answered: &Answered, status: u16) {
    assert_eq!(answered.status, status, "{way:?}: {}", answered.text);
    let error = answered.error(way.api);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("in time")), "{way:?}: {error}");
}

fn of_kind(streamed: bool) -> Vec<Way> {
    ways().into_iter().filter(|way| way.streamed == streamed).collect()
}

#[tokio::test]
async fn a_stream_that_does_not_begin_is_given_up_long_before_its_timeout() {
    let (ways, setup) = (of_kind(true), timed("10m", "500ms"));
    for says in ["mock:hang", "mock:first_ms=600000"] {
        let check = |way: Way, answered: &Answered| {
            expect_given_up(way, answered, if says == "mock:hang" { 502 } else { 200 });
        };
        let day = some_ways(ways.clone(), setup.clone(), says, check).await;
        assert_eq!(day.scene.seen().await.cut_by_client, ways.len() as u64);
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_that_does_not_come_is_given_up_at_its_timeout() {
    // What is for the first token of a stream is not for an answer in one piece: this one comes after that.
    let late = some_ways(of_kind(false), timed("10m", "200ms"), "mock:head_ms=600", |way, answered| {
        assert_eq!(answered.status, 200, "{way:?}: {}", answered.text);
    });
    late.await.expect_paid(|_| "reported").await;
    for says in ["mock:hang", "mock:tokens=20,hang_after=5"] {
        let (ways, setup) = (of_kind(false), timed("1s", "1s"));
        let day = some_ways(ways, setup, says, |way, answered| expect_given_up(way, answered, 502)).await;
        assert_eq!(day.scene.seen().await.cut_by_client, of_kind(false).len() as u64);
        day.expect_paid(|_| "reserved").await;
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up_at_its_timeout() {
    // The fifth piece comes when the time for the first has long been over.
    let says = "mock:tokens=20,chunks=20,delay_ms=400,flush,hang_after=5";
    let day = some_ways(of_kind(true), timed("3s", "1s"), says, |way, answered| {
        expect_given_up(way, answered, 200);
        assert_eq!(answered.said(way.api).split_whitespace().count(), 5, "{way:?}: {}", answered.text);
    })
    .await;
    assert_eq!(day.scene.seen().await.cut_by_client, of_kind(true).len() as u64);
    day.expect_paid(|_| "counted").await;
}

#[tokio::test]
async fn a_provider_that_says_nothing_of_usage_is_charged_by_what_was_counted() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=20,usage=none", |way, answered| {
        assert_eq!(answered.status, 200, "{way:?}: {}", answered.text);
        assert!(!way.streamed || answered.is_complete(way.api), "{way:?}: {}", answered.text);
    })
    .await;
    day.expect_paid(|_| "counted").await;
}

#[tokio::test]
async fn usage_that_comes_twice_is_booked_once() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=20,input=30,usage=twice", |way, answered| {
        assert!(answered.status == 200, "{way:?}: {}", answered.text);
    })
    .await;
    let log = day.scene.settled().await;
    let calls = &log.calls[..log.calls.len() - 1];
    assert!(calls.iter().all(|call| call.charged() == 30 * INPUT_NANOS + 20 * OUTPUT_NANOS), "{calls:?}");
}

#[tokio::test]
async fn usage_that_says_less_than_what_came_is_not_believed() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=200,usage=lie", |way, answered| {
        assert_eq!(answered.status, 200, "{way:?}: {}", answered.text);
    })
    .await;
    day.expect_paid(|_| "reported").await;
}

#[tokio::test]
async fn usage_above_what_was_set_aside_is_booked_in_full_and_stops_the_run() {
    let scene = scene().await;
    for way in ways() {
        let token = scene.mint("assistant").await;
        talk(&scene.node, &token, &way.ask("mock:tokens=20,usage=huge")).await;
        eventually(EFFECT, "the run is stopped", async || {
            let answered = talk(&scene.node, &token, &way.ask("mock:tokens=1")).await;
            (answered.status == 403)
                .then(|| assert_eq!(answered.error(way.api)["ringfence"]["code"], "suspended"))
        })
        .await;
        let log = scene.settled().await;
        let over = log.calls.iter().rfind(|call| call.used("output") == 20_000);
        assert!(over.is_some_and(|call| call.charged() > call.reserved), "{way:?}: {:?}", log.last());
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_model_that_writes_on_beyond_its_limit_is_cut_off_and_the_agent_told_why() {
    let scene = scene().await;
    for way in ways().into_iter().filter(|way| way.streamed) {
        let before = scene.mock.stats().all.cut_by_client;
        let token = scene.mint("assistant").await;
        let says = "mock:tokens=20000,chunks=4000,delay_ms=1,flush,ignore_max";
        let answered = talk(&scene.node, &token, &way.ask(says)).await;
        let error = answered.error(way.api);
        assert_eq!(error["ringfence"]["code"], "over_budget", "{way:?}: {error}");
        let said = answered.said(way.api).split_whitespace().count();
        assert!((1000..3000).contains(&said), "{way:?}: {said}");
        eventually(EFFECT, "the provider is cut off", async || {
            (scene.mock.stats().all.cut_by_client > before).then_some(())
        })
        .await;
        // What it wrote beyond was more than was set aside: that is booked, and stops the run.
        let refused = talk(&scene.node, &token, &way.ask("mock:")).await;
        assert_eq!(refused.error(way.api)["ringfence"]["code"], "suspended", "{way:?}");
        let log = scene.settled().await;
        assert!(log.last().charged() > log.last().reserved, "{way:?}: {:?}", log.last());
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn a_gigantic_event_is_refused_and_a_large_one_is_not() {
    let scene = scene().await;
    for way in ways() {
        let ask = way.ask("mock:tokens=2,giant_event=40000000");
        let answered = talk(&scene.node, &scene.token, &ask).await;
        println!("{way:?}: {} {} bytes", answered.status, answered.text.len());
        let error = answered.error(way.api);
        assert_eq!(error["ringfence"]["code"], "too_large", "{way:?}: {error}");
        let ask = way.ask("mock:tokens=2,giant_event=3000");
        let answered = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(answered.status, 200, "{way:?}");
        assert!(answered.text.len() > 3000 && answered.whole, "{way:?}");
    }
    scene.expect_left(BUDGET_NANOS).await;
}

#[tokio::test]
async fn an_error_within_a_stream_reaches_the_agent_in_its_own_words() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=20,error_at=5", |way, answered| {
        if way.streamed {
            let (error, model) = (answered.error(way.api), way.model);
            let said = if model == "claude" { "Overloaded" } else { "Sorry about that!" };
            assert!(
                error["message"].as_str().is_some_and(|message| message.contains(said)),
                "{way:?}: {error}"
            );
        }
    })
    .await;
    day.expect_paid(|way| if way.streamed { "counted" } else { "reported" }).await;
}

#[tokio::test]
async fn a_stream_without_its_last_word_is_settled_all_the_same() {
    let day = every_way(Setup::budget(BUDGET), "mock:tokens=20,no_done", |way, answered| {
        assert!(answered.whole, "{way:?}: {}", answered.text);
    })
    .await;
    // The responses API says what was used with its last word, the others before.
    let is_untold = |way: Way| way.streamed && way.api == Api::Responses;
    day.expect_paid(|way| if is_untold(way) { "counted" } else { "reported" }).await;
}

#[tokio::test]
async fn a_provider_that_is_gone_is_an_error_that_costs_nothing() {
    let scene = scene().await;
    let Scene { node, mock, token } = scene;
    mock.stop().await;
    for way in ways() {
        let answered = talk(&node, &token, &way.ask("mock:")).await;
        assert_eq!(answered.status, 502, "{way:?}: {}", answered.text);
        assert_eq!(answered.error(way.api)["ringfence"]["code"], "upstream_failed", "{way:?}");
    }
}
