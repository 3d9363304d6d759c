//! The configuration of a node with models.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::Config;

/// What is not as usual in a configuration. As usual: a workspace `lab` with the models `gpt` and `claude`, both at a
/// dollar for a million tokens read and ten for a million written, and agents that hold both and have no limits.
#[derive(Clone, Debug)]
pub struct Setup {
    /// More keys of the whole file, as lines of YAML.
    pub node: String,
    /// More keys of every model, such as `retries: 0`.
    pub model: String,
    /// More models, as lines of YAML; `{url}` stands for the provider's address.
    pub models: String,
    /// More keys of the workspace, as lines of YAML; `{url}` as before.
    pub workspace: String,
    /// The agents.
    pub agents: Vec<&'static str>,
    /// Names of the models that they hold beside the two.
    pub holds: &'static str,
    /// More keys of each agent, such as `budget: { usd: 1.00 }`.
    pub agent: String,
    /// Limits of a run that are not switched off: `wall: 1s`.
    pub limits: String,
    /// The policy.
    pub policy: String,
    /// The environment of the node, beside the provider's key.
    pub environment: Vec<(&'static str, PathBuf)>,
}

/// What is asked of the two usual models by anybody who is not a test.
const OPEN: &str = "rules:\n  - { name: everything, match: {}, decision: ALLOW }\n";

impl Default for Setup {
    fn default() -> Self {
        Self {
            node: String::new(),
            model: "retries: 1".to_owned(),
            models: String::new(),
            workspace: String::new(),
            agents: vec!["assistant"],
            holds: "",
            agent: "budget: { usd: off }".to_owned(),
            limits: String::new(),
            policy: OPEN.to_owned(),
            environment: Vec::new(),
        }
    }
}

impl Setup {
    /// As usual, with a budget of the workspace, in dollars.
    pub fn budget(usd: &str) -> Self {
        Self { workspace: format!("budget: {{ usd: {usd} }}"), ..Self::default() }
    }

    /// The files, for a provider at this address.
    pub fn config(&self, url: &str) -> Config {
        let mut text = format!(
            "organization: acme\n{}\nworkspaces:\n  lab:\n    environment: test\n{}",
            self.node,
            self.models(url)
        );
        for line in self.workspace.replace("{url}", url).lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str("    agents:\n");
        for agent in self.agents.iter().chain(&["prober"]) {
            let _ = write!(text, "      {agent}:\n        models: [gpt, claude{}]\n", self.holds);
            let _ = write!(text, "        {}\n        limits: {}\n", self.agent, self.all_limits());
        }
        text.push_str("    policy: [policy.yaml]\n");
        Config { files: vec![("ringfence.yaml", text), ("policy.yaml", self.policy.clone())] }
    }

    fn models(&self, url: &str) -> String {
        let more = if self.model.is_empty() { String::new() } else { format!(", {}", self.model) };
        let mut text = String::from("    models:\n");
        for (name, provider, base) in [("gpt", "openai", "/v1"), ("claude", "anthropic", "")] {
            let _ = writeln!(
                text,
                "      {name}: {{ provider: {provider}, model: {name}-mock, base_url: '{url}{base}', key: 'env:MOCK_KEY', \
                 price: {{ input: 1, output: 10 }}, concurrent: 1000, breaker: {{ failures: 1000, open_for: 1s }}{more} }}"
            );
        }
        for line in self.models.replace("{url}", url).lines() {
            let _ = writeln!(text, "      {line}");
        }
        text
    }

    fn all_limits(&self) -> String {
        let mut all = self.limits.clone();
        for name in ["wall", "concurrent", "repetition", "model_calls"] {
            if !self.limits.contains(&format!("{name}:")) {
                let comma = if all.is_empty() { "" } else { ", " };
                let _ = write!(all, "{comma}{name}: off");
            }
        }
        if !self.limits.contains("loops:") {
            all.push_str(", loops: { stale: off, failing: off, errors: off }");
        }
        format!("{{ {all} }}")
    }
}
