//! Money for twenty calls and five hundred of them at once: what the provider sees never exceeds the money, at any level,
//! and afterwards what is left is exact.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use ringfence_mock_model::Options;
use ringfence_tests::chance::Chance;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http::try_over;
use ringfence_tests::models::{Answered, Api, Ask, INPUT_NANOS, KEY, Log, OUTPUT_NANOS, Scene, Setup, talk};
use ringfence_tests::patience::{eventually, within};

/// Agents, each with a model of its own, so that the provider's counts tell them apart.
const AGENTS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// Calls at once.
const CALLS: usize = 500;

/// Tokens of one answer, which is also what each call may write.
const TOKENS: u64 = 1000;

/// More than any call here reads by the safe bound, and less than twice that.
const INPUT_MOST: u64 = 600;

/// Twenty calls and a half, and eight and a half for each agent.
const CALL_NANOS: u64 = TOKENS * OUTPUT_NANOS + INPUT_MOST * INPUT_NANOS;
const BUDGET_NANOS: u64 = CALL_NANOS * 41 / 2;
const AGENT_NANOS: u64 = CALL_NANOS * 17 / 2;

fn usd(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// What is added to the money at the end, so that something can be bought of what is left.
const MORE_NANOS: u64 = 5 * CALL_NANOS;

fn setup(budget: u64, of_an_agent: u64) -> Setup {
    let mut models = String::new();
    for agent in AGENTS {
        // What does not fit is refused here, so that every call that goes through is worth the same.
        writeln!(
            models,
            "{agent}: {{ provider: openai, model: {agent}-mock, base_url: '{{url}}/v1', key: 'env:MOCK_KEY', \
             price: {{ input: 1, output: 10 }}, floor: {TOKENS}, concurrent: 1000, breaker: {{ failures: 1000, open_for: 1s }} }}"
        )
        .unwrap();
    }
    Setup {
        model: "retries: 1, floor: 1".to_owned(),
        models,
        workspace: format!(
            "budget: {{ usd: {} }}\nbudgets: {{ agent: {{ usd: {} }} }}",
            usd(budget),
            usd(of_an_agent)
        ),
        agents: AGENTS.to_vec(),
        holds: ", alpha, beta, gamma, delta",
        ..Setup::default()
    }
}

struct Burst {
    scene: Scene,
    tokens: Vec<String>,
    chance: Chance,
}

/// What became of the calls of a burst, by status; 0 for those that left or found nobody.
type Ends = BTreeMap<u16, usize>;

impl Burst {
    async fn start() -> Self {
        let options = Options { key: KEY.to_owned(), ..Options::default() };
        // There is no agent of the usual name here.
        let scene = Scene::start_for(options, setup(BUDGET_NANOS, AGENT_NANOS), AGENTS[0]).await;
        let mut tokens = Vec::new();
        for agent in AGENTS {
            tokens.push(scene.mint(agent).await);
        }
        Self { scene, tokens, chance: Chance::seeded() }
    }

    /// Five hundred calls at once, plain and streamed; one in `leaving` goes away at some time.
    fn begin(&mut self, leaving: u64) -> Vec<tokio::task::JoinHandle<u16>> {
        let gateway: Arc<str> = self.scene.node.gateway.as_str().into();
        let calls = (0..CALLS).map(|number| {
            let agent = number % AGENTS.len();
            let token = self.tokens[agent].clone();
            let says = format!("mock:tokens={TOKENS},chunks=20,head_ms=50,delay_ms=20 {number}");
            let ask = Ask::new(Api::Chat, AGENTS[agent], &says)
                .with("max_tokens", TOKENS)
                .with("stream", self.chance.below(2) == 0);
            let leaves = (self.chance.below(leaving) == 0).then(|| self.chance.below(600));
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                let whole = async {
                    match ask.open_at(&gateway, &token).await {
                        Ok(opened) => Answered::read(opened).await.status,
                        Err(_) => 0,
                    }
                };
                match leaves {
                    Some(after) => {
                        tokio::time::timeout(Duration::from_millis(after), whole).await.unwrap_or(0)
                    }
                    None => whole.await,
                }
            })
        });
        calls.collect()
    }

    async fn run(&mut self, leaving: u64) -> Ends {
        ended(self.begin(leaving)).await
    }

    /// What the provider saw is covered by what was charged, and that by the money, for each agent and for all.
    async fn expect_within_the_money(&self) -> Log {
        let (stats, log) = (self.scene.mock.stats(), self.scene.settled().await);
        let mut all = 0;
        for agent in AGENTS {
            let seen = stats.by_model.get(&format!("{agent}-mock")).cloned().unwrap_or_default();
            let truth = seen.input * INPUT_NANOS + seen.output * OUTPUT_NANOS;
            let calls = log.calls.iter().filter(|call| call.intent["agent"] == agent);
            let charged: u64 = calls.map(ringfence_tests::models::Call::charged).sum();
            println!("{agent}: {} requests, {truth} used, {charged} charged of {AGENT_NANOS}", seen.requests);
            assert!(truth <= charged, "{agent} used {truth} and was charged {charged}");
            assert!(charged <= AGENT_NANOS, "{agent} was charged {charged}");
            let said = self.scene.node.api(&format!("/api/v1/spend?agent={agent}")).await.json();
            assert_eq!(said["total"]["usd_nanos"].as_u64(), Some(charged), "{said}");
            all += charged;
        }
        println!("{all} charged of {BUDGET_NANOS}");
        assert!(all <= BUDGET_NANOS, "{all} were charged in all");
        assert!(log.calls.iter().all(|call| call.charged() <= call.reserved), "a call broke its bound");
        log
    }

    /// Calls one by one until nobody gets another: what was set aside for those that left is there for others.
    async fn use_up(&self) {
        for (agent, token) in AGENTS.into_iter().zip(&self.tokens) {
            let ask = Ask::new(Api::Chat, agent, "mock:tokens=1000").with("max_tokens", TOKENS);
            let mut last = 200;
            for _ in 0..30 {
                let answered = talk(&self.scene.node, token, &ask).await;
                last = answered.status;
                if last == 402 {
                    assert_eq!(answered.error(Api::Chat)["ringfence"]["code"], "over_budget");
                    break;
                }
                assert_eq!(last, 200, "{}", answered.text);
            }
            assert_eq!(last, 402, "{agent} never came to an end");
        }
    }

    /// The end of every burst: what is left is used up, then exact.
    async fn expect_exact(&self) {
        self.scene.seen().await;
        self.use_up().await;
        let log = self.expect_within_the_money().await;
        assert!(BUDGET_NANOS - log.spent() < 2 * CALL_NANOS, "{} were left over", BUDGET_NANOS - log.spent());
        let more = setup(BUDGET_NANOS + MORE_NANOS, BUDGET_NANOS).config(&self.scene.mock.url());
        self.scene.node.reconfigure(&more);
        let socket = self.scene.node.data().join("control.sock");
        let reloaded = try_over(&socket, Method::POST, "/api/v1/reload").await.unwrap();
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
        self.scene.expect_left(BUDGET_NANOS + MORE_NANOS).await;
    }
}

async fn ended(calls: Vec<tokio::task::JoinHandle<u16>>) -> Ends {
    let mut ends = Ends::new();
    for call in calls {
        *ends.entry(within(EFFECT, "a call of the burst", call).await.unwrap()).or_default() += 1;
    }
    println!("{ends:?}");
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_at_once_get_no_more_than_there_is_money_for() {
    let mut burst = Burst::start().await;
    let ends = burst.run(u64::MAX).await;
    let served = ends[&200] as u64;
    // A call that is done gives back what it did not read, and that may come to one call more.
    assert!((20..=BUDGET_NANOS / (TOKENS * OUTPUT_NANOS)).contains(&served), "{ends:?}");
    assert_eq!(burst.scene.seen().await.requests, served, "no refused call reached the provider");
    assert!(ends.keys().all(|status| [200, 402, 503].contains(status)), "{ends:?}");
    let log = burst.expect_within_the_money().await;
    assert_eq!(log.calls.len() as u64, served);
    burst.expect_exact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_leave_at_random_make_room_for_others_and_for_no_more() {
    let mut burst = Burst::start().await;
    for _ in 0..2 {
        burst.run(2).await;
        burst.scene.seen().await;
        burst.expect_within_the_money().await;
    }
    burst.expect_exact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_in_the_middle_knows_afterwards_what_is_left() {
    let mut burst = Burst::start().await;
    for round in 1..=2 {
        let calls = burst.begin(3);
        let wait = burst.chance.below(300);
        let seen = burst.scene.mock.stats().all.requests;
        // The second time there may be no money left, and so nothing to wait for.
        if round == 1 {
            eventually(EFFECT, "calls are under way", async || {
                (burst.scene.mock.stats().all.requests > seen).then_some(())
            })
            .await;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        burst.scene.node.kill().await;
        ended(calls).await;
        burst.scene.seen().await;
        burst.scene.node.restart().await;
        let log = burst.expect_within_the_money().await;
        println!("{} calls, {:?}", log.calls.len(), log.bases());
    }
    burst.run(5).await;
    burst.expect_exact().await;
    ringfence_tests::audit::verify(&burst.scene.node).await;
}
