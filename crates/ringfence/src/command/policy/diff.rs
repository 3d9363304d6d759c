//! `ringfence policy diff`

use std::path::PathBuf;

use clap::Args;
use ringfence_control::{named_tools, vocabulary};
use ringfence_json::Value;
use ringfence_policy::{ReachChange, diff};

use super::files::{compiled_or_said, configuration_or_said};
use crate::cli::Global;
use crate::command::check::CONFIGURATION;
use crate::failure::{Exit, Failure};
use crate::output::{Style, paint};

/// Show what a change of policy opens and closes, for every agent and tool that the configuration names
///
/// With --refuse-wider, exit status 1 when anything becomes wider: for a review before it is merged.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence policy diff safety-policy.yaml new-policy.yaml --refuse-wider")]
pub struct Diff {
    /// The policy as it is
    old: PathBuf,
    /// The policy as it would be
    new: PathBuf,
    /// The configuration that says which agents and tools there are
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    config: PathBuf,
    /// The answer is no when anything becomes wider
    #[arg(long)]
    refuse_wider: bool,
}

impl Diff {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let loaded = configuration_or_said(&self.config)?.loaded;
        let known = vocabulary(&loaded, &named_tools(&loaded.config.workspaces));
        let (old, new) = (compiled_or_said(&[self.old])?, compiled_or_said(&[self.new])?);
        let changes = diff(&old.set, &new.set, &known);
        let wider = changes.iter().filter(|change| change.is_wider()).count();
        let output = global.output();
        if output.is_json() {
            changes.iter().try_for_each(|change| output.document(&Value::Object(change.to_object())))?;
        } else {
            for change in &changes {
                let style = if change.is_wider() { Style::Bad } else { Style::Good };
                output.text(&paint(&change.to_string(), style, output.colour()))?;
            }
            output.line(&summary(&changes, wider))?;
        }
        if self.refuse_wider && wider > 0 { Err(Failure::said(Exit::No)) } else { Ok(()) }
    }
}

fn summary(changes: &[ReachChange], wider: usize) -> String {
    match (changes.len(), wider) {
        (0, _) => "nothing changes for any agent".to_owned(),
        (1, 0) => "1 change, not wider".to_owned(),
        (all, 0) => format!("{all} changes, none of them wider"),
        (all, wider) => format!("{all} changes, {wider} of them wider: somebody should look at those"),
    }
}
