//! A node in front of a stand-in for the providers of models.

mod ask;
mod money;
mod sdk;
mod setup;

use ringfence_mock_model::{Counts, MockModel, Options};

pub use ask::{Answered, Api, Ask, error_of, talk};
pub use money::{Call, INPUT_NANOS, Log, OUTPUT_NANOS};
pub use sdk::{Sdk, output};
pub use setup::Setup;

use crate::limits::EFFECT;
use crate::node::{Node, Surroundings};
use crate::patience::eventually;
use crate::upstream::text;

/// The key of the stand-in, which only the node knows.
pub const KEY: &str = "sk-mock-8f14e45fceea167a5a36dedd4bea2543";

/// A node, the provider behind it, and a token of its first agent.
pub struct Scene {
    /// The node.
    pub node: Node,
    /// The provider, in this process.
    pub mock: MockModel,
    /// A token of the first agent.
    pub token: String,
}

impl Scene {
    /// Starts both, as usual.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// Starts both.
    pub async fn start_with(setup: Setup) -> Self {
        let options = Options { key: KEY.to_owned(), ..Options::default() };
        Self::start_before(options, setup).await
    }

    /// Starts both, with a provider that is not as usual.
    pub async fn start_before(options: Options, setup: Setup) -> Self {
        Self::start_for(options, setup, "assistant").await
    }

    /// As [`Self::start_before`], with a token for another agent.
    pub async fn start_for(options: Options, setup: Setup, agent: &str) -> Self {
        let mock = MockModel::start(options).await.unwrap_or_else(|error| panic!("the provider: {error}"));
        let mut environment = vec![("MOCK_KEY", KEY.into())];
        environment.extend(setup.environment.iter().cloned());
        let surroundings = Surroundings { environment, ..Surroundings::default() };
        let node = Node::start_in(surroundings, &setup.config(&mock.url())).await;
        let mut scene = Self { node, mock, token: String::new() };
        scene.token = scene.mint(agent).await;
        scene
    }

    /// A token of one agent for a new run, of the user `robin`.
    pub async fn mint(&self, agent: &str) -> String {
        let arguments = ["token", "mint", "-w", "lab", "--agent", agent, "--user", "robin", "--json"];
        text(&self.node.cli(&arguments).await.expect(0).json(), "token")
    }

    /// What the provider saw once nothing is under way there any more.
    pub async fn seen(&self) -> Counts {
        eventually(EFFECT, "the provider is left in peace", async || {
            let stats = self.mock.stats();
            (stats.running == 0).then_some(stats.all)
        })
        .await
    }

    /// The log once every call has its outcome; what is wrong with it, or with what the node says of it, is a failed test.
    pub async fn settled(&self) -> Log {
        let mut last = None;
        let log = eventually(EFFECT, "every call has its outcome", async || {
            let log = Log::read(&self.node).await;
            // The index follows the log: two looks that find the same have found all.
            let all = log.open() == 0 && last == Some(log.entries);
            last = Some(log.entries);
            all.then_some(log)
        })
        .await;
        self.expect_said(&log).await;
        log
    }

    /// Expects the node to say of its money what the log says, and that nothing is set aside.
    async fn expect_said(&self, log: &Log) {
        let said = self.node.api("/api/v1/spend").await.json();
        let total = &said["total"];
        assert_eq!(total["usd_nanos"].as_u64(), Some(log.spent()), "{said}");
        assert_eq!(total["calls"].as_u64(), Some(log.calls.len() as u64), "{said}");
        assert_eq!(total["open"]["calls"].as_u64(), Some(0), "{said}");
        for budget in said["budgets"].as_array().into_iter().flatten() {
            let set_aside = &budget["money"]["reserved"]["usd_nanos"];
            assert!(set_aside.as_u64().is_none_or(|nanos| nanos == 0), "still set aside: {budget}");
        }
    }

    /// Expects a new run to work, and what is left of the workspace's `budget` to be exactly what the log says that
    /// nobody has spent: nothing is still set aside.
    pub async fn expect_left(&self, budget: u64) {
        let before = self.settled().await;
        let left = budget.saturating_sub(before.spent());
        let token = self.mint("prober").await;
        let ask = Ask::new(Api::Chat, "gpt", "mock:tokens=1").with("max_tokens", 100_000_000);
        let answer = talk(&self.node, &token, &ask).await;
        assert_eq!(answer.status, 200, "the next run goes on: {}", answer.text);
        let after = self.settled().await;
        let probe = after.calls.iter().find(|call| !before.calls.iter().any(|old| old.action == call.action));
        let reserved = probe.map_or(0, |call| call.reserved);
        assert!(
            reserved <= left && left - reserved < OUTPUT_NANOS,
            "{left} nano-dollars should be left, and a call that takes all of it took {reserved}"
        );
    }
}
