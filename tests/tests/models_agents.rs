//! Whole agents: their model and their tools behind one address and one token, unchanged but for that.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use ringfence_tests::audit;
use ringfence_tests::models::{Scene, Setup, output};
use ringfence_tests::parts;
use ringfence_tests::upstream::{Upstream, executed};
use tokio::process::Command;

/// A whole agent of one framework, and in which ways its model is called, each with the models that it can be.
struct Agent {
    environment: &'static str,
    script: &'static str,
    /// How the tool is named for its model.
    tool: &'static str,
    ways: &'static [(&'static str, &'static [&'static str])],
}

/// The program, without anything of this machine's user.
fn command(agent: &Agent, scene: &Scene, home: &std::path::Path) -> Command {
    let mut command = Command::new(parts::python(agent.environment));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .current_dir(home);
    let gateway = &scene.node.gateway;
    for (name, value) in [
        ("OPENAI_BASE_URL", format!("{gateway}/openai/v1")),
        ("OPENAI_API_KEY", scene.token.clone()),
        ("ANTHROPIC_BASE_URL", format!("{gateway}/anthropic")),
        ("ANTHROPIC_API_KEY", scene.token.clone()),
        ("RINGFENCE_TOKEN", scene.token.clone()),
        ("ANTHROPIC_SMALL_FAST_MODEL", "claude".to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
    ] {
        command.env(name, value);
    }
    command.arg(parts::script(agent.script));
    command
}

async fn works(agent: &Agent) {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let fixture = Upstream::fixture(Some(&calls)).await;
    let setup = Setup {
        workspace: format!(
            "trust: first-use\ntools:\n  papers: {{ url: '{}', actions: {{ search: {{ action_type: read }} }} }}",
            fixture.url
        ),
        agent: "budget: { usd: off }\n        tools: [papers/search]".to_owned(),
        ..Setup::default()
    };
    let scene = Scene::start_with(setup).await;
    let mut times = 0;
    for (way, models) in agent.ways {
        for model in *models {
            let prompt = format!(
                "Look for papers about tides. mock:tokens=9,chunks=3,tool={},args=query:tides",
                agent.tool
            );
            let mut command = command(agent, &scene, folder.path());
            let mcp = if agent.tool.starts_with("mcp__") {
                scene.node.mcp("papers")
            } else {
                scene.node.everything()
            };
            command.arg(mcp).arg(model).arg(&prompt).arg(way);
            let mut told = output(command, agent.script).await;
            times += 1;
            let text = told.remove(0);
            assert_eq!(text.as_str().unwrap().split_whitespace().count(), 9, "{way} {model}: {text}");
            assert_eq!(told.len(), 1, "{way} {model}: {told:?}");
            assert!(told[0].as_str().unwrap().contains("Two papers about tides."), "{way} {model}: {told:?}");
        }
    }
    assert_eq!(executed(&calls).len(), times);
    let log = scene.settled().await;
    assert!(log.calls.len() >= 2 * times, "{} calls of models", log.calls.len());
    assert_eq!(log.bases(), ["reported".to_owned()].into());
    let mut refused = audit::entries(&scene.node, "refusal").await;
    // This agent tries without when a model cannot search for tools.
    refused.retain(|refusal| !refusal["reason"].as_str().unwrap().contains("cannot search for tools"));
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn langgraph() {
    works(&Agent {
        environment: "langgraph",
        script: "whole_langgraph.py",
        tool: "papers__search",
        ways: &[("chat", &["claude"]), ("stream", &["gpt"]), ("anthropic", &["gpt"])],
    })
    .await;
}

#[tokio::test]
async fn openai_agents() {
    works(&Agent {
        environment: "agents",
        script: "whole_openai_agents.py",
        tool: "papers__search",
        ways: &[
            ("chat", &["claude"]),
            ("chat-stream", &["gpt"]),
            ("responses", &["gpt"]),
            ("responses-stream", &["gpt"]),
        ],
    })
    .await;
}

#[tokio::test]
async fn pydantic_ai() {
    works(&Agent {
        environment: "agents",
        script: "whole_pydantic_ai.py",
        tool: "papers__search",
        ways: &[("chat", &["claude"]), ("responses", &["gpt"]), ("anthropic", &["gpt"])],
    })
    .await;
}

#[tokio::test]
async fn claude_agent_sdk() {
    works(&Agent {
        environment: "agents",
        script: "whole_claude_agent.py",
        tool: "mcp__papers__search",
        ways: &[("anthropic", &["gpt", "claude"])],
    })
    .await;
}
