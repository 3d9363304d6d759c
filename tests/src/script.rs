//! Agent frameworks with a model that follows a script.

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::limits::SCRIPT;
use crate::parts;
use crate::patience::within;

/// A framework: its name, its Python environment and its script.
#[derive(Clone, Copy, Debug)]
pub struct Framework {
    /// Its name, for messages.
    pub name: &'static str,
    environment: &'static str,
    script: &'static str,
    /// Whether its model is told, beside the text, that a call failed.
    pub tells_errors: bool,
}

/// The official client library.
pub const MCP: Framework =
    Framework { name: "mcp", environment: "agents", script: "mcp_client.py", tells_errors: true };

/// FastMCP.
pub const FASTMCP: Framework =
    Framework { name: "fastmcp", environment: "agents", script: "fastmcp_client.py", tells_errors: true };

/// LangGraph, through langchain-mcp-adapters.
pub const LANGGRAPH: Framework = Framework {
    name: "langgraph",
    environment: "langgraph",
    script: "langgraph_agent.py",
    tells_errors: true,
};

/// The OpenAI Agents SDK.
pub const OPENAI_AGENTS: Framework = Framework {
    name: "openai-agents",
    environment: "agents",
    script: "openai_agents_agent.py",
    tells_errors: false,
};

/// Pydantic AI.
pub const PYDANTIC_AI: Framework = Framework {
    name: "pydantic-ai",
    environment: "agents",
    script: "pydantic_ai_agent.py",
    tells_errors: true,
};

/// What the model received for one call.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Received {
    /// The tool it called.
    pub tool: String,
    /// The text it was given.
    pub text: String,
    /// Whether it was told that the call failed; `None` where the framework does not say.
    pub is_error: Option<bool>,
}

impl Framework {
    /// Runs a script of calls, each a tool and its arguments, and returns what the model received.
    pub async fn run(&self, url: &str, token: Option<&str>, calls: &[(&str, Value)]) -> Vec<Received> {
        let calls: Vec<Value> = calls
            .iter()
            .map(|(tool, arguments)| serde_json::json!({ "tool": tool, "arguments": arguments }))
            .collect();
        let mut command = Command::new(parts::python(self.environment));
        command
            .arg(parts::script(self.script))
            .arg(url)
            .arg(Value::from(calls).to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("RINGFENCE_TOKEN")
            .kill_on_drop(true);
        if let Some(token) = token {
            command.env("RINGFENCE_TOKEN", token);
        }
        let output = within(SCRIPT, &format!("the script of {}", self.name), command.output()).await;
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {}\n{stderr}", self.name, output.status);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{}: {error}: {}", self.name, String::from_utf8_lossy(&output.stdout))
        })
    }
}
