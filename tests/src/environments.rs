//! A node whose agent has an environment of packages.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::audit;
use crate::cli::Said;
use crate::config::Config;
use crate::index::Index;
use crate::node::{Node, Surroundings};
use crate::parts;

/// Nothing is allowed: where builds go is the operator's statement.
pub const POLICY: &str =
    "rules:\n  - { name: never, match: { kind: egress, host: never.example }, decision: DENY }\n";

/// A node whose agent is `agent`, in the folder of that name, with an environment made of `files`.
pub struct Place {
    /// The node.
    pub node: Node,
    /// The agent's folder.
    pub files: TempDir,
}

/// What a place is made of.
pub struct Made<'a> {
    /// Where packages come from.
    pub index: &'a Index,
    /// The `run` of the agent.
    pub run: &'a str,
    /// Their names and texts.
    pub files: &'a [(&'a str, String)],
    /// The rules.
    pub policy: &'a str,
    /// What a build may take.
    pub bounds: &'a str,
}

/// What a build may take, unless a test is about that.
pub const BOUNDS: &str = "size: 64Mi, timeout: 2m";

impl Place {
    /// A node with that agent.
    pub async fn open(made: Made<'_>) -> Self {
        let files = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        for (name, text) in made.files {
            std::fs::write(files.path().join(name), text).unwrap_or_else(|error| panic!("{error}"));
        }
        let folder = files.path().display();
        let url = &made.index.url;
        let config = format!(
            "organization: acme
environments: {{ python: {{ index: '{url}/simple' }}, node: {{ index: '{url}' }}, {} }}
workspaces:
  lab:
    environment: test
    agents:
      assistant:
        run: {{ files: '{folder}', {} }}
    policy: [policy.yaml]
",
            made.bounds,
            made.run.replace("FOLDER", &folder.to_string())
        );
        let config =
            Config { files: vec![("ringfence.yaml", config), ("policy.yaml", made.policy.to_owned())] };
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", parts::tools().display());
        let surroundings =
            Surroundings { environment: vec![("PATH", PathBuf::from(path))], ..Surroundings::default() };
        Self { node: Node::start_in(surroundings, &config).await, files }
    }

    /// The same, of a `requirements.txt`.
    pub async fn python(index: &Index, requirements: String, agent: &str) -> Self {
        let run = "command: [python, agent.py], python: FOLDER/requirements.txt";
        let files = [("requirements.txt", requirements), ("agent.py", agent.to_owned())];
        Self::open(Made { index, run, files: &files, policy: POLICY, bounds: BOUNDS }).await
    }

    /// Runs the agent to its end.
    pub async fn run(&self) -> Said {
        self.node.cli(&["run", "assistant", "-w", "lab"]).await
    }

    /// The runs in which something was built, as the log has their ends.
    pub async fn builds(&self) -> Vec<Value> {
        let life = audit::entries(&self.node, "run").await;
        let is_build =
            |entry: &Value| entry["agent"].as_str().is_some_and(|agent| agent.starts_with("build:"));
        life.into_iter().filter(|entry| is_build(entry) && entry["event"] == "ended").collect()
    }

    /// What is kept of environments on the disk.
    pub fn kept(&self) -> usize {
        std::fs::read_dir(self.node.data().join("environments")).map_or(0, Iterator::count)
    }

    /// Entries of what was refused.
    pub async fn refused(&self) -> Vec<Value> {
        audit::entries(&self.node, "refusal").await
    }
}
