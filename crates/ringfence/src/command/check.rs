//! `ringfence check`

use std::path::PathBuf;

use clap::Args;
use ringfence_control::config::{Loaded, Rejected, load};
use ringfence_control::{Compiled, check_scripts, compile};
use ringfence_document::Diagnostic;
use ringfence_json::{Object, Value};

use crate::cli::Global;
use crate::failure::{Exit, Failure};

/// The configuration file, unless another is named.
pub const CONFIGURATION: &str = "ringfence.yaml";

/// Validate configuration and policy, offline: all errors at once, and what a reader would miss
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence check -c ringfence.yaml")]
pub struct Check {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    config: PathBuf,
}

impl Check {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let checked =
            load(&self.config).and_then(|loaded: Loaded| compile(loaded, &[])).and_then(check_scripts);
        let output = global.output();
        match &checked {
            Ok(compiled) if output.is_json() => output.document(&document(true, &compiled.warnings)),
            Ok(compiled) => {
                eprint_text(&compiled.render_warnings());
                output.line(&summary(compiled))
            }
            Err(rejected) => {
                if output.is_json() {
                    output.document(&document(false, &rejected.diagnostics))?;
                } else {
                    eprint_text(&report(rejected));
                }
                Err(Failure::said(Exit::Usage))
            }
        }
    }
}

/// Everything that is wrong, and how much that is.
pub fn report(rejected: &Rejected) -> String {
    let errors = rejected.errors();
    let plural = if errors == 1 { "" } else { "s" };
    format!("{}\n{errors} error{plural}\n", rejected.render())
}

/// Writes to standard error; nobody can be told if that fails.
pub fn eprint_text(text: &str) {
    use std::io::Write as _;
    if !text.is_empty() {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

fn summary(compiled: &Compiled) -> String {
    let config = &compiled.loaded.config;
    let (mut agents, mut servers, mut models) = (0, 0, 0);
    for workspace in &config.workspaces {
        agents += workspace.agents.len();
        servers += workspace.servers.len();
        models += workspace.models.len();
    }
    let others = 1 + config.prices.len() + config.egress.authorities.len();
    let policies = compiled.loaded.sources.len().saturating_sub(others);
    format!(
        "ok: {}, {}, {}, {}, {}; {}",
        count(config.workspaces.len(), "workspace"),
        count(agents, "agent"),
        count(servers, "tool server"),
        count(models, "model"),
        count(policies, "policy file"),
        count(compiled.warnings.len(), "warning"),
    )
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn document(ok: bool, diagnostics: &[Diagnostic]) -> Value {
    let diagnostics: Vec<Object> = diagnostics.iter().map(Diagnostic::to_object).collect();
    Object::new().with("ok", ok).with("diagnostics", diagnostics).into()
}
