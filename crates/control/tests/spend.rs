//! What operators are told of money: by level and time, live, with budgets, in metrics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod operator;

use operator::{Answer, Place};
use ringfence_control::Node;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_mock_model::{MockModel, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A node with a model at a dollar for a million tokens read and ten for a million written.
struct Scene {
    place: Place,
    node: Node,
    _mock: MockModel,
}

impl Scene {
    async fn start() -> Self {
        Self::bounded("{ usd: 0.02, per: day }", "{ tokens: 1000000 }").await
    }

    /// With these budgets of the workspace and of each user.
    async fn bounded(workspace: &str, user: &str) -> Self {
        let mock = MockModel::start(Options::default()).await.unwrap();
        let place = Place::new();
        let configured = format!(
            "lab:
    models: {{ smart: {{ provider: openai, model: gpt-mock, base_url: '{}/v1', price: {{ input: 1, output: 10 }} }} }}
    budget: {workspace}
    budgets: {{ user: {user} }}",
            mock.url()
        );
        let configuration = place.configuration().replace("lab:", &configured);
        place.write("ringfence.yaml", &configuration.replace("tools: []", "tools: [], models: [smart]"));
        let node = place.start().await;
        Self { place, node, _mock: mock }
    }

    /// A run of that user, and its token.
    async fn mint(&self, user: &str) -> (String, String) {
        let body = format!(r#"{{"workspace":"lab","agent":"assistant","user":"{user}"}}"#);
        let minted = self.place.socket(&self.node, "POST", "/api/v1/tokens", &body).await;
        (minted.text("run"), minted.text("token"))
    }

    /// A call that writes so many tokens.
    async fn call(&self, token: &str, tokens: u32) -> String {
        let address = self.node.addresses().gateway.strip_prefix("http://").unwrap().to_owned();
        let body = format!(
            r#"{{"model":"smart","max_tokens":{tokens},"messages":[{{"role":"user","content":"mock:tokens={tokens} x"}}]}}"#
        );
        let request = format!(
            "POST /openai/v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> Object {
        let answer = self.place.socket(&self.node, "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        object(&answer)
    }

    /// The charges that stand in the log, summed, once `calls` calls are settled.
    async fn charged(&self, calls: usize) -> u64 {
        for _ in 0..200 {
            let page = self.get("/api/v1/audit/entries?kind=outcome&model=smart").await;
            let entries = page.get("entries").and_then(Value::as_array).unwrap();
            if entries.len() >= calls {
                let charge = |entry: &Value| entry.get("charge")?.get("usd_nanos")?.as_u64();
                return entries.iter().filter_map(charge).sum();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("not every call is settled")
    }
}

fn object(answer: &Answer) -> Object {
    parse(answer.body.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
}

fn rows(answer: &Object) -> Vec<Object> {
    let rows = answer.get("rows").and_then(Value::as_array).unwrap();
    rows.iter().filter_map(Value::as_object).cloned().collect()
}

fn nanos(object: &Object) -> u64 {
    object.get("usd_nanos").and_then(Value::as_u64).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_is_told_by_every_level_and_agrees_with_the_log() {
    let scene = Scene::start().await;
    let (erins, token) = scene.mint("erin").await;
    let (_, other) = scene.mint("kim").await;
    for (token, tokens) in [(&token, 100), (&token, 50), (&other, 20)] {
        let answer = scene.call(token, tokens).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let charged = scene.charged(3).await;
    assert!(charged > 170 * 10_000, "output alone is 170 tokens: {charged}");
    for by in
        ["workspace", "agent", "user", "conversation", "run", "model", "month", "day", "hour", "user,day"]
    {
        let answer = scene.get(&format!("/api/v1/spend?by={by}")).await;
        let rows = rows(&answer);
        assert_eq!(rows.iter().map(nanos).sum::<u64>(), charged, "{by}: {answer:?}");
        assert_eq!(answer.get("total").and_then(Value::as_object).map(nanos), Some(charged), "{by}");
        assert_eq!(answer.get("entries"), answer.get("durable"), "all that is durable is in it");
    }
    let users = rows(&scene.get("/api/v1/spend?by=user").await);
    let names: Vec<_> = users.iter().map(|row| row.text("user").unwrap()).collect();
    assert_eq!(names, ["erin", "kim"], "who spent most comes first");
    assert_eq!(users[0].get("calls").and_then(Value::as_u64), Some(2));
    let tokens = users[0].get("tokens").unwrap();
    assert_eq!(tokens.get("output").and_then(Value::as_u64), Some(150));
    assert!(users[0].get("by_basis").unwrap().get("reported").is_some(), "{users:?}");
    let of_kim = scene.get("/api/v1/spend?by=run&user=kim").await;
    assert_eq!(of_kim.get("total").and_then(Value::as_object).map(nanos), Some(nanos(&users[1])));
    let none = scene.get("/api/v1/spend?until=2020-01-01T00:00:00Z").await;
    assert_eq!(none.get("total").and_then(Value::as_object).map(nanos), Some(0));

    // The budgets in force say the same, live.
    let budgets = scene.get("/api/v1/spend?workspace=lab").await;
    let budgets = budgets.get("budgets").and_then(Value::as_array).unwrap();
    let lab = budgets
        .iter()
        .find(|budget| budget.get("level").and_then(Value::as_str) == Some("workspace"))
        .unwrap();
    let money =
        |name: &str| lab.get("money").unwrap().get(name).and_then(Value::as_object).map(nanos).unwrap();
    assert_eq!((money("max"), money("spent"), money("reserved")), (20_000_000, charged, 0));
    assert_eq!(money("left"), 20_000_000 - charged);
    let status = scene.get("/api/v1/status").await;
    let lab = status.get("workspaces").and_then(Value::as_array).unwrap()[0].get("spent_today").unwrap();
    assert_eq!(lab.as_object().map(nanos), Some(charged));
    let run = scene.get(&format!("/api/v1/runs/{erins}")).await;
    assert_eq!(run.get("spent").and_then(Value::as_object).map(nanos), Some(nanos(&users[0])));
    assert_eq!(run.get("budgets").and_then(Value::as_array).map(<[_]>::len), Some(3), "{run:?}");

    let metrics = scene.place.socket(&scene.node, "GET", "/metrics", "").await.body;
    let total = rows(&scene.get("/api/v1/spend?by=model").await)[0].text("usd").unwrap().to_owned();
    for line in [
        format!("ringfence_spend_usd_total{{workspace=\"lab\",agent=\"assistant\",model=\"smart\"}} {total}"),
        "ringfence_tokens_total{workspace=\"lab\",agent=\"assistant\",model=\"smart\",kind=\"output\"} 170"
            .to_owned(),
        "ringfence_reserved_usd{workspace=\"lab\"} 0.00".to_owned(),
        "ringfence_budget_fill_ratio{level=\"workspace\",workspace=\"lab\",per=\"day\"} 0.".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("erin") && !metrics.contains(&erins), "labels are bounded");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_budget_stands_in_the_status() {
    let scene = Scene::start().await;
    let (_, token) = scene.mint("erin").await;
    assert!(scene.call(&token, 1700).await.starts_with("HTTP/1.1 200"));
    scene.charged(1).await;
    let status = scene.get("/api/v1/status").await;
    let full = status.get("full_budgets").and_then(Value::as_array).unwrap();
    assert_eq!(full.len(), 1, "{full:?}");
    assert_eq!(full[0].get("level").and_then(Value::as_str), Some("workspace"));
    let percent = full[0].get("percent").and_then(Value::as_u64).unwrap();
    assert!((85..=90).contains(&percent), "{percent}");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_with_a_way_out_and_viewers_may_ask() {
    let place = Place::new();
    let node = place.start().await;
    for (path, said) in [
        ("/api/v1/spend?by=agnet", "did you mean `agent`?"),
        ("/api/v1/spend?by=agent,", "known are"),
        ("/api/v1/spend?since=yesterday", "since"),
        ("/api/v1/spend?run=me", "run"),
        ("/api/v1/spend?colour=red", "known are"),
    ] {
        let answer = place.socket(&node, "GET", path, "").await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.body.contains(said), "{path}: {}", answer.body);
    }
    let path = "/api/v1/spend?by=workspace";
    assert_eq!(place.tcp(&node, "GET", path, None, "").await.status, 401);
    let answer = place.tcp(&node, "GET", path, Some(&place.viewer), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(rows(&object(&answer)), Vec::new());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_models_are_explained() {
    let scene = Scene::start().await;
    let ask = |body: &'static str| {
        let scene = &scene;
        async move { scene.place.socket(&scene.node, "POST", "/api/v1/policy/explain", body).await }
    };
    let allowed = ask(r#"{"workspace":"lab","agent":"assistant","model":"smart"}"#).await;
    assert_eq!(allowed.status, 200, "{}", allowed.body);
    let explained = object(&allowed);
    assert_eq!((explained.text("decision"), explained.text("action")), (Some("ALLOW"), Some("chat")));
    assert_eq!(explained.get("granted").and_then(Value::as_bool), Some(true));
    // With tools that the provider hosts it acts.
    let acts = ask(r#"{"workspace":"lab","agent":"assistant","model":"smart","action_type":"write"}"#).await;
    assert_eq!(acts.text("decision"), "DENY");
    // What else can be asked about is taken too.
    let host = ask(r#"{"workspace":"lab","agent":"assistant","host":"a.example","port":8443,"protocol":"https","method":"GET","path":"/x"}"#).await;
    assert_eq!((host.status, host.text("decision")), (200, "ALLOW".to_owned()), "{}", host.body);
    let start = ask(r#"{"workspace":"lab","agent":"assistant","spawns":"assistant"}"#).await;
    assert_eq!((start.status, start.text("decision")), (200, "DENY".to_owned()), "{}", start.body);
    let server = ask(r#"{"workspace":"lab","server":"files","host":"a.example"}"#).await;
    assert!(server.status == 400 && server.body.contains("no server `files`"), "{}", server.body);
    for (body, said) in [
        (r#"{"workspace":"lab"}"#, "`agent` is needed"),
        (r#"{"workspace":"lab","agent":"assistant","model":"smrat"}"#, "did you mean `smart`?"),
        (r#"{"workspace":"lab","agent":"assistant","model":"smart","tool":"x"}"#, "left out"),
        (r#"{"workspace":"lab","agent":"assistant"}"#, "server"),
    ] {
        let answer = ask(body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(said), "{body}: {}", answer.body);
    }
    scene.node.stop().await;
}

#[test]
fn the_start_of_a_run_is_explained_and_replayed() {
    let place = Place::new();
    place.write(
        "ringfence.yaml",
        "organization: acme\nworkspaces:\n  lab:\n    agents:\n      lead: { spawn: [helper], run: { command: [sh] } }\n      \
         helper: { run: { command: [sh] } }\n    policy: [safety-policy.yaml]\n",
    );
    let rule = "rules:\n  - { name: cheap, match: { kind: spawn }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { allowed_agents: [helper], max_budget.usd: 0.5 } }\n";
    place.write("safety-policy.yaml", rule);
    let loaded =
        ringfence_control::config::load(&place.options().config).unwrap_or_else(|_| panic!("it loads"));
    let compiled = ringfence_control::compile(loaded, &[]).unwrap_or_else(|_| panic!("it compiles"));
    let call = |text: &str| parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap();
    let asked =
        call(r#"{"workspace":"lab","agent":"lead","spawns":"helper","arguments":{"budget":{"usd":5}}}"#);
    let explained = ringfence_control::explain::explain(&compiled, &[], &asked).unwrap();
    assert_eq!((explained.text("rule"), explained.text("action")), (Some("cheap"), Some("spawn")));
    assert_eq!(explained.get("granted").and_then(Value::as_bool), Some(true));
    assert_eq!(explained.get("narrowed").and_then(Value::as_array).map(<[Value]>::len), Some(1));
    let other =
        call(r#"{"workspace":"lab","agent":"helper","spawns":"lead","arguments":{"budget":{"usd":5}}}"#);
    let explained = ringfence_control::explain::explain(&compiled, &[], &other).unwrap();
    assert_eq!(explained.get("granted").and_then(Value::as_bool), Some(false));
    assert_eq!(explained.text("decision"), Some("DENY"));
    let replayed = ringfence_control::explain::replayed_arguments(&compiled, &asked).unwrap();
    let verdict =
        ringfence_control::explain::decide(&compiled, &[], &asked.clone().with("arguments", replayed));
    assert_eq!(verdict.unwrap().decision.as_str(), "ALLOW_WITH_CONSTRAINTS");
    let both = call(r#"{"workspace":"lab","agent":"lead","spawns":"helper","tool":"x"}"#);
    assert!(ringfence_control::explain::explain(&compiled, &[], &both).is_err());
}

#[test]
fn a_recorded_request_is_replayed_as_rules_saw_it() {
    let place = Place::new();
    let model = "lab:\n    models: { smart: { provider: openai, model: gpt-mock, base_url: 'http://127.0.0.1:9/v1', price: { input: 1, output: 10 }, max_output: 700 } }";
    let configuration = place.configuration().replace("lab:", model);
    place.write("ringfence.yaml", &configuration.replace("tools: []", "tools: [], models: [smart]"));
    let rule = "rules:\n  - { name: short, match: { kind: model_call }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_max_output_tokens: 500 } }\n  - { name: chosen, match: { kind: model_call, action: responses }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_temperature: 0.5 } }\n";
    place.write("safety-policy.yaml", rule);
    let loaded =
        ringfence_control::config::load(&place.options().config).unwrap_or_else(|_| panic!("it loads"));
    let compiled = ringfence_control::compile(loaded, &[]).unwrap_or_else(|_| panic!("it compiles"));
    let replayed = |request: &str| {
        let text = format!(
            r#"{{"workspace":"lab","agent":"assistant","model":"smart","operation":"chat","arguments":{request}}}"#
        );
        let call = parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap();
        let arguments = ringfence_control::explain::replayed_arguments(&compiled, &call)
            .map_err(|error| error.to_string())?;
        let verdict =
            ringfence_control::explain::decide(&compiled, &[], &call.with("arguments", arguments.clone()));
        Ok::<_, String>((arguments, verdict.unwrap()))
    };
    let messages = r#""model":"smart","messages":[{"role":"user","content":"x"}]"#;
    for (request, asked) in
        [(format!("{{{messages},\"max_tokens\":600}}"), 600), (format!("{{{messages}}}"), 700)]
    {
        let (arguments, verdict) = replayed(&request).unwrap();
        assert_eq!(arguments.get("max_output_tokens").and_then(Value::as_u64), Some(asked));
        let narrowed =
            verdict.arguments.as_ref().and_then(|narrowed| narrowed.get("max_output_tokens")?.as_u64());
        assert_eq!(narrowed, Some(500), "{verdict:?}");
    }
    // What cannot be applied to a request is refused, as the kernel does.
    let lowered = |temperature: &str| {
        let text = format!(
            r#"{{"workspace":"lab","agent":"assistant","model":"smart","operation":"responses","arguments":{{"temperature":{temperature},"max_output_tokens":9,"n":1}}}}"#
        );
        let call = parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap();
        let explained = ringfence_control::explain::explain(&compiled, &[], &call).unwrap();
        let verdict = ringfence_control::explain::decide(&compiled, &[], &call).unwrap();
        assert_eq!(explained.text("decision"), Some(verdict.decision.as_str()));
        (verdict.decision.as_str(), verdict.reason)
    };
    assert_eq!(lowered("0.5").0, "ALLOW_WITH_CONSTRAINTS");
    let (decision, reason) = lowered("0.7");
    assert!(decision == "DENY" && reason.contains("only max_output_tokens and n"), "{decision}: {reason}");
    let unknown = replayed(&format!("{{{messages},\"surprise\":1}}")).unwrap_err();
    assert!(unknown.contains("would not take this request"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_leaves_out_the_budgets_that_are_least_used() {
    let scene = Scene::bounded("{ usd: 20, per: day }", "{ tokens: 2000 }").await;
    for (user, tokens) in [("erin", 100), ("kim", 900)] {
        let (_, token) = scene.mint(user).await;
        assert!(scene.call(&token, tokens).await.starts_with("HTTP/1.1 200"));
    }
    scene.charged(2).await;
    let percents = |answer: &Object| {
        let budgets = answer.get("budgets").and_then(Value::as_array).unwrap();
        let percent = |budget: &Value| budget.get("percent").and_then(Value::as_u64).unwrap();
        budgets.iter().map(percent).collect::<Vec<_>>()
    };
    // The workspace's, the widest, is nearly empty, and the second user's is the fullest.
    let all = percents(&scene.get("/api/v1/spend").await);
    assert!(all.len() > 2 && all[0] >= 45 && all[all.len() - 1] == 0, "{all:?}");
    assert!(all.windows(2).all(|pair| pair[0] >= pair[1]), "{all:?}");
    for limit in 1..all.len() {
        let some = scene.get(&format!("/api/v1/spend?limit={limit}")).await;
        assert_eq!(percents(&some), all[..limit], "limit={limit}");
        assert_eq!(some.get("more_budgets").and_then(Value::as_bool), Some(true));
    }
    scene.node.stop().await;
}
