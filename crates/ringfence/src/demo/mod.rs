//! `ringfence demo`: everything at once, with no configuration, no network and no keys.
//!
//! `servers` are the tools, `agent` is the program of the agents, which speaks MCP to the gateway and asks a model (`chat`), `cast` runs it
//! in sandboxes; `story`, `money` and `escape` are what happens; each line that is printed is made from the log entry that it names (`book`), and
//! a step that did not go as told ends the demo with exit status 1.

mod agent;
mod book;
mod cast;
mod chat;
mod escape;
mod message;
mod money;
mod proof;
mod servers;
mod story;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use ringfence_control::{Node, NodeOptions};
use ringfence_json::Value;
use ringfence_sandbox::{Spawner, SpawnerBootstrap};
use ringfence_types::NodeName;

use crate::failure::Failure;
use crate::output::Output;

/// The policy that users know, as it stands in `examples/`.
const SAFETY_POLICY: &str = include_str!("../../../../examples/safety-policy.yaml");

/// What the demo adds to it.
const DEMO_POLICY: &str = include_str!("../../../../examples/demo-policy.yaml");

/// What the demo's model answers.
const SCRIPT: &str = include_str!("../../../../examples/demo-script.yaml");

/// Where the agents' sandboxes have this program.
const PROGRAM: &str = "/opt/ringfence";

/// See it work: a node, four tool servers, an agent and a person, no configuration
///
/// Everything runs on free loopback ports with data in a temporary folder, which is removed at the end.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ringfence demo\n  ringfence demo --keep ./demo-data   # look at what it leaves"
)]
pub struct Demo {
    /// Keep the configuration and the log in this folder, which must not exist yet
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Decide by this policy instead of the demo's; steps that do not go as told are shown
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Be one of its agents, which reads what to do on standard input
    #[arg(long, hide = true)]
    as_agent: bool,
}

/// A folder that is removed when the demo ends, unless the user named it.
struct Folder {
    path: PathBuf,
    kept: bool,
}

// === impl Demo ===

impl Demo {
    /// Whether this is an agent of the demo, and not the demo.
    pub fn is_agent(&self) -> bool {
        self.as_agent
    }

    /// What an agent does.
    pub async fn play() -> Result<(), Failure> {
        agent::play().await
    }

    pub async fn run(self, output: Output, spawner: SpawnerBootstrap) -> Result<(), Failure> {
        let started = Instant::now();
        let spawner = spawner.into_async().map_err(|error| failed("start the spawner", &error))?;
        let folder = Folder::new(self.keep)?;
        let servers =
            servers::Servers::start().await.map_err(|error| failed("start the tool servers", &error))?;
        let policies = policies(self.policy.as_deref())?;
        let config = write_configuration(&folder.path, servers.port(), &policies)?;
        let layers = spawner.run_layers().clone();
        let node = start_node(&config, &folder.path.join("data"), spawner).await?;
        let told = story::tell(output, &node, &servers, &folder.path, &layers, started).await;
        let log = folder.path.join("data/ledger");
        node.stop().await;
        told?;
        proof::show(output, &log, &folder.path)?;
        output.text(&farewell(&folder))
    }
}

/// Names and texts of the policy files.
fn policies(instead: Option<&Path>) -> Result<Vec<(String, String)>, Failure> {
    match instead {
        None => Ok(vec![
            ("safety-policy.yaml".into(), SAFETY_POLICY.into()),
            ("demo-policy.yaml".into(), DEMO_POLICY.into()),
        ]),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
            Ok(vec![("policy.yaml".into(), text)])
        }
    }
}

fn write_configuration(folder: &Path, port: u16, policies: &[(String, String)]) -> Result<PathBuf, Failure> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).map(|()| path).map_err(|error| failed("write the demo's files", &error))
    };
    for (name, text) in policies {
        write(name, text)?;
    }
    write("demo-script.yaml", SCRIPT)?;
    let files = folder.join("prisoner");
    std::fs::create_dir(&files).map_err(|error| failed("write the demo's files", &error))?;
    write("prisoner/escape.sh", escape::SCRIPT)?;
    let names: Vec<&str> = policies.iter().map(|(name, _)| name.as_str()).collect();
    let program = std::env::current_exe().map_err(|error| failed("find this program", &error))?;
    let program = Value::from(program.to_string_lossy().into_owned()).to_string();
    write("ringfence.yaml", &configuration(port, &program, &names.join(", ")))
}

/// `program`: this one, as a word of YAML.
fn configuration(port: u16, program: &str, policies: &str) -> String {
    let run = format!(
        "run: {{ command: [{PROGRAM}, demo, --as-agent], stdin: true, mounts: [{{ source: {program}, target: {PROGRAM} }}] }}"
    );
    format!(
        "organization: acme
workspaces:
  demo:
    environment: production
    trust: first-use
    tools:
      database: {{ url: \"http://127.0.0.1:{port}/database\", capability: database, actions: {{ query: {{ action_type: read }}, export: {{ action_type: read }}, drop_table: {{ action: drop }} }} }}
      web: {{ url: \"http://127.0.0.1:{port}/web\", capability: web, actions: {{ fetch: {{ action_type: read }} }} }}
      mail: {{ url: \"http://127.0.0.1:{port}/mail\", capability: mail }}
      cluster: {{ url: \"http://127.0.0.1:{port}/cluster\", capability: kubernetes, actions: {{ deploy_app: {{ action: deploy, risk: high }} }} }}
    models:
      planner: {{ provider: scripted, script: demo-script.yaml, floor: 1000, price: {{ input: 1.25, output: 10 }} }}
    agents:
      assistant: {{ tools: [database/*, web/*, mail/*, cluster/*], {run} }}
      planner: {{ models: [planner], {run} }}
      spender: {{ models: [planner], budget: {{ usd: 0.05 }}, {run} }}
      prisoner: {{ run: {{ command: [sh, escape.sh], files: prisoner }} }}
    policy: [{policies}]
"
    )
}

async fn start_node(config: &Path, data: &Path, spawner: Spawner) -> Result<Node, Failure> {
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let options = NodeOptions {
        config: config.to_owned(),
        data: data.to_owned(),
        gateway: any_port,
        control: any_port,
        name: NodeName::new("demo").ok(),
        spawner: Some(spawner),
    };
    Node::start(options).await.map_err(|error| match error {
        ringfence_control::StartError::Config(rejected) => {
            crate::command::check::eprint_text(&crate::command::check::report(&rejected));
            Failure::said(crate::failure::Exit::Usage)
        }
        other => failed("start the node", &other),
    })
}

fn farewell(folder: &Folder) -> String {
    let kept = if folder.kept {
        format!(
            "  the log of this demo          ringfence audit query --data {}\n",
            folder.path.join("data").display()
        )
    } else {
        String::new()
    };
    format!(
        "\nWhere to go next\n  your own tools and rules      ringfence init, then ringfence up; install it: README.md\n{kept}  what a policy can say         docs/policy.md\n  what all this defends against SECURITY.md\n"
    )
}

fn failed(doing: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::no(format!("cannot {doing}: {error}"))
}

// === impl Folder ===

impl Folder {
    fn new(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let kept = keep.is_some();
        let path = keep.unwrap_or_else(|| {
            let unique = format!("ringfence-demo-{}-{:x}", std::process::id(), nanoseconds());
            std::env::temp_dir().join(unique)
        });
        std::fs::create_dir(&path).map_err(|error| {
            Failure::usage(format!("cannot make the folder {}: {error}", path.display()))
                .hint("--keep takes a folder that does not exist yet")
        })?;
        let path = std::path::absolute(&path).map_err(|error| failed("find the folder", &error))?;
        Ok(Self { path, kept })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed lies in the temporary folder, where the system tidies up.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn nanoseconds() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos())
}
