//! The configurations of the tests, written as a user would.

use std::path::Path;

/// The policy that users already know, unchanged, from the examples.
const KNOWN_POLICY: &str = include_str!("../../examples/safety-policy.yaml");

/// What the known policy leaves open: reads, and one write that needs a person everywhere.
const MORE_POLICY: &str = "\
default: DENY
rules:
  - name: reads
    match: { action_type: read }
    decision: ALLOW
  - name: mail-needs-a-person
    match: { action: send_mail }
    decision: REQUIRE_APPROVAL
    reason: Mail to customers is read by a person first.
";

/// A policy that allows everything that is granted.
pub const OPEN_POLICY: &str = "\
rules:
  - name: everything
    match: {}
    decision: ALLOW
";

/// The same, but that a person has to agree to one tool.
const ASKING_POLICY: &str = "\
default: DENY
rules:
  - name: everything
    match: {}
    decision: ALLOW
  - name: asked
    match: { tool: record_asked }
    decision: REQUIRE_APPROVAL
    approval: { expires: 1h }
";

/// Files by name, as they are put into a node's folder.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configuration first.
    pub files: Vec<(&'static str, String)>,
}

impl Config {
    /// One agent, `assistant` in the workspace `lab`: what is written of it, a line for each key.
    pub fn of_agent(keys: &[String], policy: &str) -> Self {
        let keys = keys.join("\n        ");
        let config = format!(
            "organization: acme
workspaces:
  lab:
    environment: test
    agents:
      assistant:
        {keys}
    policy: [policy.yaml]
"
        );
        Self { files: vec![("ringfence.yaml", config), ("policy.yaml", policy.to_owned())] }
    }

    /// The four decisions: workspaces `staging` and `production` with the tools of the fixture under three names,
    /// so that each has its capability, under the known policy and a little more.
    pub fn gate(fixture: &str) -> Self {
        let workspace = |name: &str| {
            format!(
                "  {name}:
    environment: {name}
    trust: first-use
    tools:
      papers: {{ url: '{fixture}', capability: web_search, actions: {{ search: {{ action_type: read }} }} }}
      cluster: {{ url: '{fixture}', capability: kubernetes }}
      database: {{ url: '{fixture}', capability: database }}
    agents:
      assistant:
        tools: [papers/search, papers/send_mail, cluster/deploy, database/drop]
    policy: [safety-policy.yaml, more-policy.yaml]
"
            )
        };
        let config =
            format!("organization: acme\nworkspaces:\n{}{}", workspace("staging"), workspace("production"));
        Self {
            files: vec![
                ("ringfence.yaml", config),
                ("safety-policy.yaml", KNOWN_POLICY.to_owned()),
                ("more-policy.yaml", MORE_POLICY.to_owned()),
            ],
        }
    }

    /// One workspace `lab` whose agent `assistant` may use every tool of one server named `tools`.
    ///
    /// `server` is the body of its entry, such as `url: …` or `command: […]`.
    pub fn open(server: &str) -> Self {
        let config = format!(
            "organization: acme
workspaces:
  lab:
    environment: test
    trust: first-use
    tools:
      tools: {{ {server}, capability: everything }}
    agents:
      assistant:
        tools: ['tools/*']
        limits: {{ wall: off, repetition: off }}
    policy: [open-policy.yaml]
"
        );
        Self { files: vec![("ringfence.yaml", config), ("open-policy.yaml", OPEN_POLICY.to_owned())] }
    }

    /// One workspace `lab` with a server behind a URL.
    pub fn open_url(url: &str) -> Self {
        Self::open(&format!("url: '{url}'"))
    }

    /// As [`Config::open_url`], but that a person has to agree to the tool `record_asked`.
    pub fn asking_url(url: &str) -> Self {
        let mut config = Self::open_url(url);
        ASKING_POLICY.clone_into(&mut config.files[1].1);
        config
    }

    /// One workspace `lab` with a server as a child process.
    pub fn open_command(command: &[&Path]) -> Self {
        let words: Vec<String> = command.iter().map(|word| format!("'{}'", word.display())).collect();
        Self::open(&format!("command: [{}]", words.join(", ")))
    }
}
