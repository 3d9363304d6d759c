//! The official clients of models, given an address and a key and nothing else.

use serde_json::Value;
use tokio::process::Command;

use super::Scene;
use crate::limits::SCRIPT;
use crate::parts;
use crate::patience::within;

/// An official client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdk {
    /// Its name, for messages.
    pub name: &'static str,
    script: &'static str,
    is_python: bool,
    /// Whether it speaks OpenAI's APIs; else Anthropic's.
    pub is_openai: bool,
}

impl Sdk {
    /// All of them: of both vendors, for Python and for Node.
    pub const ALL: [Self; 4] = [
        Self { name: "openai of PyPI", script: "openai_sdk.py", is_python: true, is_openai: true },
        Self { name: "anthropic of PyPI", script: "anthropic_sdk.py", is_python: true, is_openai: false },
        Self { name: "openai of npm", script: "openai_sdk.cjs", is_python: false, is_openai: true },
        Self { name: "anthropic of npm", script: "anthropic_sdk.cjs", is_python: false, is_openai: false },
    ];

    /// Does what is asked, one after the other, and returns what came or was raised. Asks without a `token` have the
    /// scene's.
    pub async fn run(&self, scene: &Scene, asks: &[Value]) -> Vec<Value> {
        let mut asks = asks.to_vec();
        for ask in &mut asks {
            if ask.get("token").is_none() {
                ask["token"] = scene.token.as_str().into();
            }
        }
        let mut command = if self.is_python {
            let mut command = Command::new(parts::python("agents"));
            command.arg(parts::script(self.script));
            command
        } else {
            let mut command = Command::new(parts::node());
            command.arg(parts::node_script(self.script));
            command.env("RINGFENCE_TEST_MODULES", parts::folder().join("npm"));
            command
        };
        command.arg(Value::from(asks.clone()).to_string());
        command.env("OPENAI_BASE_URL", format!("{}/openai/v1", scene.node.gateway));
        command.env("ANTHROPIC_BASE_URL", format!("{}/anthropic", scene.node.gateway));
        let answers = output(command, self.name).await;
        assert_eq!(answers.len(), asks.len(), "{}: {answers:?}", self.name);
        answers
    }
}

/// Runs a script to its end, and returns the list that it prints last.
pub async fn output(mut command: Command, name: &str) -> Vec<Value> {
    command.env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    let output = within(SCRIPT, &format!("the script of {name}"), command.output()).await;
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{stderr}", output.status);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{name}: {error}: {stdout}\n{stderr}"))
}
