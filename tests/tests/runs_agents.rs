//! Real agents in the sandbox: frameworks from PyPI, unchanged, with models and tools that they reach without a token.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use ringfence_tests::audit;
use ringfence_tests::models::{Scene, Setup};
use ringfence_tests::parts;
use ringfence_tests::upstream::{Upstream, executed};
use serde_json::Value;

/// Where a Python environment is inside.
const VENV: &str = "/opt/environment";

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

/// An agent of one framework does in the sandbox what it does outside.
async fn works(environment: &str, script: &str, way: &str) {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let fixture = Upstream::fixture(Some(&calls)).await;
    let program = parts::script(script);
    let setup = Setup {
        workspace: format!(
            "trust: first-use\ntools:\n  papers: {{ url: '{}', actions: {{ search: {{ action_type: read }} }} }}",
            fixture.url
        ),
        agent: format!(
            "budget: {{ usd: off }}\n        tools: [papers/search]\n        run: {{ command: [{VENV}/bin/python, ./{script}], files: '{}', \
             env: {{ RINGFENCE_TOKEN: unused, PYTHONDONTWRITEBYTECODE: '1' }}, mounts: [{}] }}",
            program.parent().unwrap().canonicalize().unwrap().display(),
            mounts(environment),
        ),
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    let prompt = "Look for papers about tides. mock:tokens=9,chunks=3,tool=papers__search,args=query:tides";
    let arguments = ["http://gateway/mcp", "gpt", prompt, way];
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
    works("agents", "whole_openai_agents.py", "chat").await;
}

#[tokio::test]
async fn langgraph_in_a_sandbox() {
    works("langgraph", "whole_langgraph.py", "stream").await;
}
