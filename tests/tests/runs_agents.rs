//! Real agents in the sandbox: frameworks from PyPI and npm, unchanged, with models and tools that they reach without a token.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use ringfence_tests::audit;
use ringfence_tests::models::{Scene, Setup};
use ringfence_tests::parts;
use ringfence_tests::upstream::{Upstream, executed};
use serde_json::Value;

/// Where a Python environment is inside.
const VENV: &str = "/opt/environment";

/// Where what comes from npm is inside.
const MODULES: &str = "/opt/modules";

/// What has to be shown inside for a Python environment to work there as it does outside.
fn mounts(environment: &str) -> String {
    let python = parts::python(environment);
    let asked =
        std::process::Command::new(&python).args(["-c", "import sys; print(sys.base_prefix)"]).output();
    let base = PathBuf::from(String::from_utf8(asked.unwrap().stdout).unwrap().trim());
    let venv = python.parent().unwrap().parent().unwrap();
    let venv = format!("{{ source: '{}', target: {VENV} }}", venv.display());
    // The machine's own Python is there anyway.
    if base.starts_with("/usr") {
        return venv;
    }
    format!("{venv}, {{ source: '{0}', target: '{0}' }}", base.display())
}

/// How one framework's agent is started inside.
struct Agent {
    /// The program that runs the script.
    interpreter: String,
    /// The script, on the machine.
    script: PathBuf,
    mounts: String,
    /// More variables, as YAML.
    environment: String,
    /// How its model is called.
    way: &'static str,
    /// Where its tools are, and how the tool is named for its model.
    tools: (&'static str, &'static str),
}

/// Tools of all servers at one address.
const EVERYTHING: (&str, &str) = ("http://gateway/mcp", "papers__search");

/// With a Python environment.
fn python(environment: &str, script: &str, way: &'static str) -> Agent {
    Agent {
        interpreter: format!("{VENV}/bin/python"),
        script: parts::script(script),
        mounts: mounts(environment),
        environment: "PYTHONDONTWRITEBYTECODE: '1'".to_owned(),
        way,
        tools: EVERYTHING,
    }
}

/// With Node and what is installed from npm, which stay where they are on the machine.
fn node(script: &str, way: &'static str) -> Agent {
    let modules = parts::folder().join("npm/node_modules").canonicalize().unwrap();
    let interpreter = parts::node().canonicalize().unwrap();
    let inside = interpreter.strip_prefix(&modules).unwrap();
    Agent {
        interpreter: format!("{MODULES}/node_modules/{}", inside.display()),
        script: parts::node_script(script),
        mounts: format!("{{ source: '{}', target: {MODULES}/node_modules }}", modules.display()),
        environment: format!("RINGFENCE_TEST_MODULES: {MODULES}"),
        way,
        tools: EVERYTHING,
    }
}

/// An agent of one framework does in the sandbox what it does outside.
async fn works(agent: Agent) {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let fixture = Upstream::fixture(Some(&calls)).await;
    let setup = Setup {
        workspace: format!(
            "trust: first-use\ntools:\n  papers: {{ url: '{}', actions: {{ search: {{ action_type: read }} }} }}",
            fixture.url
        ),
        agent: format!(
            "budget: {{ usd: off }}\n        tools: [papers/search]\n        run: {{ command: ['{}', './{}'], files: '{}', \
             env: {{ RINGFENCE_TOKEN: unused, {} }}, mounts: [{}] }}",
            agent.interpreter,
            agent.script.file_name().unwrap().to_str().unwrap(),
            agent.script.parent().unwrap().canonicalize().unwrap().display(),
            agent.environment,
            agent.mounts,
        ),
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    let (mcp, tool) = agent.tools;
    let prompt = format!("Look for papers about tides. mock:tokens=9,chunks=3,tool={tool},args=query:tides");
    let arguments = [mcp, "gpt", &prompt, agent.way];
    let mut command = vec!["run", "assistant", "-w", "lab", "--user", "robin", "--"];
    command.extend(arguments);
    let said = scene.node.cli(&command).await.expect(0);
    let told: Vec<Value> = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(told[0].as_str().unwrap().split_whitespace().count(), 9, "{told:?}");
    assert!(told[1].as_str().unwrap().contains("Two papers about tides."), "{told:?}");
    assert_eq!(executed(&calls).len(), 1);
    let log = scene.settled().await;
    assert!(log.calls.len() >= 2 && log.calls.iter().all(|call| call.intent["user"] == "robin"));
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn openai_agents_in_a_sandbox() {
    works(python("agents", "whole_openai_agents.py", "chat")).await;
}

#[tokio::test]
async fn langgraph_in_a_sandbox() {
    works(python("langgraph", "whole_langgraph.py", "stream")).await;
}

#[tokio::test]
async fn node_with_the_sdk_of_the_protocol_in_a_sandbox() {
    works(node("whole_mcp_sdk.cjs", "plain")).await;
    works(node("whole_mcp_sdk.cjs", "stream")).await;
}

#[tokio::test]
async fn pydantic_ai_in_a_sandbox() {
    works(python("agents", "whole_pydantic_ai.py", "responses")).await;
}

#[tokio::test]
async fn claude_agent_sdk_in_a_sandbox() {
    let mut agent = python("agents", "whole_claude_agent.py", "anthropic");
    agent
        .environment
        .push_str(", ANTHROPIC_SMALL_FAST_MODEL: claude, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1'");
    agent.tools = ("http://gateway/mcp/papers", "mcp__papers__search");
    works(agent).await;
}
