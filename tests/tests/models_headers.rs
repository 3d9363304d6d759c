//! What agents say in headers of their requests, and are told in those of the answers.

use ringfence_tests::models::{Api, Ask, INPUT_NANOS, OUTPUT_NANOS, Scene, Setup, talk};
use serde_json::Value;

#[tokio::test]
async fn labels_may_come_in_several_lines_and_each_of_them_counts() {
    let auto = "auto: { route: [{ when: { labels: [night] }, to: claude }, { to: gpt }] }";
    let setup = Setup { models: auto.to_owned(), holds: ", auto", ..Setup::default() };
    let scene = Scene::start_with(setup).await;
    for (lines, model) in [
        (&["batch"][..], "gpt"),
        (&["night"], "claude"),
        (&["batch, night"], "claude"),
        (&["batch", "night"], "claude"),
        (&["night", "batch"], "claude"),
    ] {
        let mut ask = Ask::new(Api::Chat, "auto", "mock:tokens=1");
        for line in lines {
            ask = ask.header("x-ringfence-labels", *line);
        }
        let answered = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(answered.status, 200, "{lines:?}: {}", answered.text);
        assert_eq!(answered.header("x-ringfence-model"), model, "{lines:?}: {:?}", answered.headers);
    }
}

#[tokio::test]
async fn a_call_counts_for_the_conversation_that_its_header_names() {
    let setup =
        Setup { workspace: "budgets: { conversation: { usd: 0.01 } }".to_owned(), ..Setup::default() };
    let scene = Scene::start_with(setup).await;
    let within = |name: &str| {
        let ask = Ask::new(Api::Chat, "gpt", "mock:tokens=990").with("max_tokens", 990);
        ask.header("x-ringfence-conversation", name)
    };
    for api in Api::ALL {
        // Nearly all that a conversation may spend is spent in one call.
        let (one, other) = (format!("{api:?}-one"), format!("{api:?}-other"));
        let first = talk(&scene.node, &scene.token, &within(&one)).await;
        assert_eq!(first.status, 200, "{}", first.text);
        let log = scene.settled().await;
        assert_eq!(log.last().intent["conversation"].as_str(), Some(one.as_str()), "{:?}", log.last());
        let mut ask = Ask::new(api, "gpt", "mock:tokens=990").header("x-ringfence-conversation", &one);
        ask = ask.with(if api == Api::Responses { "max_output_tokens" } else { "max_tokens" }, 990);
        let refused = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(refused.status, 402, "{api:?}: {}", refused.text);
        let message = refused.error(api)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("conversation"), "{message}");
        let answered = talk(&scene.node, &scene.token, &within(&other)).await;
        assert_eq!(answered.status, 200, "another has its own: {}", answered.text);
    }
    scene.settled().await;
    let spend = scene.node.cli(&["spend", "--by", "conversation", "--json"]).await.expect(0).json();
    let rows: Vec<&Value> = spend["rows"].as_array().unwrap().iter().collect();
    assert_eq!(rows.len(), 2 * Api::ALL.len(), "{spend}");
    for row in rows {
        assert_eq!(row["calls"].as_u64(), Some(1), "{row}");
    }
    // What names none, or two, would count for another than its agent thinks.
    for lines in [&[""][..], &["one", "two"]] {
        let mut ask = Ask::new(Api::Chat, "gpt", "mock:tokens=1");
        for line in lines {
            ask = ask.header("x-ringfence-conversation", *line);
        }
        let refused = talk(&scene.node, &scene.token, &ask).await;
        assert_eq!(refused.status, 400, "{lines:?}: {}", refused.text);
        assert!(refused.text.contains("x-ringfence-conversation"), "{}", refused.text);
    }
}

#[tokio::test]
async fn an_output_limit_that_the_budget_lowers_is_told_in_a_header() {
    for api in Api::ALL {
        for model in api.models() {
            for streamed in [false, true] {
                // What a tenth of a dollar buys is not quite ten thousand tokens.
                let scene = Scene::start_with(Setup::budget("0.10")).await;
                let member = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
                let ask = Ask::new(api, model, "mock:tokens=20000,chunks=100").with("stream", streamed);
                let answered = talk(&scene.node, &scene.token, &ask.clone().with(member, 20_000)).await;
                let at = format!("{api:?} {model} streamed {streamed}");
                println!("{at}: {} {} bytes", answered.status, answered.text.len());
                assert_eq!(answered.status, 200, "{at}: {}", answered.text);
                let told: u64 = answered.header("x-ringfence-max-output-tokens").parse().unwrap();
                assert!((9_000..10_000).contains(&told), "{at}: {told}");
                let log = scene.settled().await;
                let call = log.last();
                assert_eq!(call.intent["max_output_tokens"].as_u64(), Some(told), "{at}");
                assert_eq!(call.used("output"), told, "{at}: the provider was told the same");
                assert_eq!(call.basis(), "reported", "{at}");
                assert_eq!(call.charged(), told * OUTPUT_NANOS + call.used("input") * INPUT_NANOS, "{at}");
                // What fits is not told.
                let ask = ask.with(member, 1).with("stream", false);
                let scene = Scene::start_with(Setup::budget("0.10")).await;
                let answered = talk(&scene.node, &scene.token, &ask).await;
                assert_eq!(answered.header("x-ringfence-max-output-tokens"), "", "{at}");
            }
        }
    }
}
