//! The ways to the provider: none between, and each gateway as its makers say to run it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use super::mock::Mock;
use super::ringfence::{self, Setup};
use super::server::{Server, free_address, parts};
use crate::failure::{Failure, failure};
use crate::node::Node;
use crate::process::{self, Cpu};

/// The model that everybody asks for.
pub const MODEL: &str = "gpt-mock";

/// What stands between a client and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Nothing
    Direct,
    /// LiteLLM, from PyPI
    Litellm,
    /// Portkey's gateway, from npm
    Portkey,
    /// This one
    Ringfence,
}

/// A way to the provider. Dropping it ends what stands there.
pub struct Way {
    /// Which.
    pub kind: Kind,
    /// Where clients connect to.
    pub address: SocketAddr,
    /// Where they post chat completions.
    pub path: &'static str,
    /// What they send with every request.
    pub headers: Vec<(&'static str, String)>,
    /// The process that is measured.
    pid: u32,
    held: Held,
}

enum Held {
    Nothing,
    Server { _server: Server },
    Node(Node),
}

// === impl Kind ===

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Litellm, Self::Portkey, Self::Ringfence];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Litellm => "LiteLLM",
            Self::Portkey => "Portkey",
            Self::Ringfence => "Ringfence",
        }
    }

    /// Starts it in a folder of its own.
    pub async fn start(self, mock: &Mock, folder: &Path, setup: Setup) -> Result<Way, Failure> {
        std::fs::create_dir_all(folder)?;
        match self {
            Self::Direct => Ok(Way {
                kind: self,
                address: mock.address,
                path: "/v1/chat/completions",
                headers: vec![bearer("direct")],
                pid: mock.pid(),
                held: Held::Nothing,
            }),
            Self::Litellm => litellm(mock, folder, setup).await,
            Self::Portkey => portkey(mock, folder).await,
            Self::Ringfence => ringfence::start(mock, folder, setup).await,
        }
    }
}

// === impl Way ===

impl Way {
    /// A way through a node.
    pub fn through(node: Node, token: &str) -> Self {
        Self {
            kind: Kind::Ringfence,
            address: node.gateway,
            path: "/openai/v1/chat/completions",
            headers: vec![bearer(token)],
            pid: node.pid(),
            held: Held::Node(node),
        }
    }

    /// Begins a new run, where there are runs: each has a bound on its model calls.
    pub async fn renew(&mut self) -> Result<(), Failure> {
        if let Held::Node(node) = &self.held {
            self.headers = vec![bearer(&node.mint().await?)];
        }
        Ok(())
    }

    /// What its processes have used until now; of the direct way, the provider's.
    pub fn cpu(&self) -> Result<Cpu, Failure> {
        process::cpu_of_tree(self.pid)
    }

    /// What its processes have resident.
    pub fn resident(&self) -> u64 {
        process::resident_of_tree(self.pid)
    }

    /// The node, if it is one.
    pub fn node(&self) -> Option<&Node> {
        if let Held::Node(node) = &self.held { Some(node) } else { None }
    }
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

async fn litellm(mock: &Mock, folder: &Path, setup: Setup) -> Result<Way, Failure> {
    let environment = parts()?.join("python/litellm/bin");
    let program = environment.join("litellm");
    if !program.is_file() {
        return Err(missing("LiteLLM"));
    }
    // Without its database there are no keys with a budget; a deployment has one all the same.
    let budget =
        setup.budget.map_or_else(String::new, |usd| format!(", max_budget: {usd}, budget_duration: 1d"));
    let config = format!(
        "model_list:
  - model_name: {MODEL}
    litellm_params: {{ model: openai/{MODEL}, api_base: 'http://{}/v1', api_key: provider, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002{budget} }}
general_settings: {{ master_key: sk-bench }}
",
        mock.address
    );
    let path = folder.join("litellm.yaml");
    std::fs::write(&path, config)?;
    let address = free_address()?;
    let mut command = Command::new(program);
    command.arg("--config").arg(path).args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
    command.args(["--num_workers", "1", "--telemetry", "False"]).current_dir(folder);
    // As its page on production says; and nothing is fetched from the network.
    command.env("LITELLM_MODE", "PRODUCTION").env("LITELLM_LOG", "ERROR").env("NO_DOCS", "True");
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("DISABLE_ADMIN_UI", "True").env("HOME", folder);
    let server = Server::start(command, address, "/health/liveliness", &folder.join("litellm.log")).await?;
    Ok(Way {
        kind: Kind::Litellm,
        address,
        path: "/v1/chat/completions",
        headers: vec![bearer("sk-bench")],
        pid: server.pid(),
        held: Held::Server { _server: server },
    })
}

async fn portkey(mock: &Mock, folder: &Path) -> Result<Way, Failure> {
    let node = parts()?.join("npm/node_modules/.bin/node");
    let program = parts()?.join("npm-portkey/node_modules/@portkey-ai/gateway/build/start-server.js");
    if !program.is_file() {
        return Err(missing("Portkey"));
    }
    let address = free_address()?;
    let mut command = Command::new(node);
    command.arg(program).args([&format!("--port={}", address.port()), "--headless"]).current_dir(folder);
    command.env("NODE_ENV", "production").env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1");
    let server = Server::start(command, address, "/", &folder.join("portkey.log")).await?;
    Ok(Way {
        kind: Kind::Portkey,
        address,
        path: "/v1/chat/completions",
        headers: vec![
            bearer("provider"),
            ("x-portkey-provider", "openai".to_owned()),
            ("x-portkey-custom-host", format!("http://{}/v1", mock.address)),
        ],
        pid: server.pid(),
        held: Held::Server { _server: server },
    })
}

fn missing(what: &str) -> Failure {
    failure(format!("{what} is not installed: run this by `cargo xtask bench`, which installs it"))
}
