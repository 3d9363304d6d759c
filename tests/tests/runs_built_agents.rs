//! Real agents whose environment the node builds itself, from the lock that their authors would have: frameworks from PyPI and
//! npm, installed with their hashes from an index on this machine, then run with a model that follows a script.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use ringfence_tests::audit;
use ringfence_tests::cli::{self, Said};
use ringfence_tests::index::Index;
use ringfence_tests::limits::SCRIPT;
use ringfence_tests::models::{Scene, Setup};
use ringfence_tests::node::Node;
use ringfence_tests::parts;
use ringfence_tests::patience::within;
use ringfence_tests::upstream::{Upstream, executed};
use serde_json::Value;

/// What the model is asked: its script is in it.
const PROMPT: &str =
    "Look for papers about tides. mock:tokens=9,chunks=3,tool=papers__search,args=query:tides";

/// An agent and what it is built from.
struct Agent {
    /// Its `command`, `files`, variables and builder, as YAML.
    run: String,
    /// How its model is called.
    way: &'static str,
    /// Whose the run is in which it is built.
    builder: &'static str,
    /// Packages that are fetched for it at the least.
    packages: usize,
}

/// Runs it to its end, with time for the building.
async fn run(node: &Node, way: &str) -> Said {
    let mut command = cli::command(node.folder());
    command.args([
        "--data",
        node.data().to_str().unwrap(),
        "run",
        "assistant",
        "-w",
        "lab",
        "--user",
        "robin",
    ]);
    command.args(["--", "http://gateway/mcp", "gpt", PROMPT, way]).kill_on_drop(true);
    let output = within(SCRIPT, "the run and the building of its environment", command.output()).await;
    Said::from(output.unwrap()).expect(0)
}

fn expect_told(said: &Said) {
    let told: Vec<Value> = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(told[0].as_str().unwrap().split_whitespace().count(), 9, "{told:?}");
    assert!(told[1].as_str().unwrap().contains("Two papers about tides."), "{told:?}");
}

/// The ends of the runs in which something was built.
async fn builds(node: &Node, builder: &str) -> Vec<Value> {
    let life = audit::entries(node, "run").await;
    life.into_iter().filter(|entry| entry["agent"] == builder && entry["event"] == "ended").collect()
}

/// The node builds what the lock says, once, from the index alone; then the agent does its work with it.
async fn is_built_and_works(agent: Agent) {
    let index = Index::start_with_fetched().await;
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let fixture = Upstream::fixture(Some(&calls)).await;
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", parts::tools().display());
    let setup = Setup {
        node: format!(
            "environments: {{ python: {{ index: '{0}/simple' }}, node: {{ index: '{0}' }} }}",
            index.url
        ),
        workspace: format!(
            "trust: first-use\ntools:\n  papers: {{ url: '{}', actions: {{ search: {{ action_type: read }} }} }}",
            fixture.url
        ),
        agent: format!(
            "budget: {{ usd: off }}\n        tools: [papers/search]\n        run: {{ {} }}",
            agent.run
        ),
        environment: vec![("PATH", PathBuf::from(path))],
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    expect_told(&run(&scene.node, agent.way).await);
    let asked = index.asked();
    assert!(asked >= agent.packages, "{asked} of the index");
    assert_eq!(executed(&calls).len(), 1);
    let log = scene.settled().await;
    assert!(log.calls.len() >= 2 && log.calls.iter().all(|call| call.intent["user"] == "robin"));
    // Each answer of the provider's stand-in was paid for; what each was charged is held against its tokens in `settled`.
    let finished = scene.seen().await.finished;
    assert!(log.calls.iter().all(|call| call.charged() > 0), "{:?}", log.calls);
    assert_eq!(finished, log.calls.len() as u64);

    // What was built is used again, and nobody is asked for anything.
    expect_told(&run(&scene.node, agent.way).await);
    assert_eq!((executed(&calls).len(), index.asked()), (2, asked));
    let builds = builds(&scene.node, agent.builder).await;
    assert_eq!((builds.len(), &builds[0]["exit_code"]), (1, &Value::from(0)), "{builds:?}");
    // The index is where all of it came from.
    let places = audit::entries(&scene.node, "intent").await;
    let places: Vec<&Value> = places.iter().filter(|entry| entry["agent"] == agent.builder).collect();
    let port: u64 = index.host().rsplit(':').next().unwrap().parse().unwrap();
    let is_index = |entry: &&Value| entry["host"] == "127.0.0.1" && entry["port"] == port;
    assert!(!places.is_empty() && places.iter().all(is_index), "{places:?}");
    assert_eq!(audit::entries(&scene.node, "refusal").await, Vec::<Value>::new());
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn the_node_builds_an_agent_of_the_openai_sdk_from_its_lock_and_the_agent_works() {
    let script = parts::script("whole_openai_agents.py");
    let run = format!(
        "command: [python, whole_openai_agents.py], files: '{}', python: '{}', env: {{ RINGFENCE_TOKEN: unused }}",
        script.parent().unwrap().canonicalize().unwrap().display(),
        parts::built("requirements.txt").display()
    );
    is_built_and_works(Agent { run, way: "chat", builder: "build:python", packages: 30 }).await;
}

#[tokio::test]
async fn the_node_builds_an_agent_with_the_sdk_of_the_protocol_from_its_lock_and_the_agent_works() {
    let script = parts::node_script("whole_mcp_sdk.cjs");
    // From where its own files are, modules are found in what was built.
    let run = format!(
        "command: [node, whole_mcp_sdk.cjs], files: '{}', node: '{}', env: {{ RINGFENCE_TEST_MODULES: /agent/files }}",
        script.parent().unwrap().canonicalize().unwrap().display(),
        parts::built("package-lock.json").display()
    );
    is_built_and_works(Agent { run, way: "stream", builder: "build:node", packages: 90 }).await;
}
