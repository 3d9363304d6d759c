//! `ringfence policy schema`

use std::path::{Path, PathBuf};

use clap::Args;
use ringfence_control::{named_tools, vocabulary};
use ringfence_json::Object;
use ringfence_policy::cedar_schema;

use super::files::configuration_or_said;
use crate::cli::Global;
use crate::command::check::CONFIGURATION;
use crate::failure::{Exit, Failure};

/// Print the schema that Cedar policies are checked against, for editors and Cedar's own tools
///
/// Asks the node, which knows the tools' definitions. With -c, and when no node answers, it is made from a configuration:
/// the tools that it names, with nothing known of their arguments.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence policy schema > ringfence.cedarschema")]
pub struct Schema {
    /// Make it from this configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Schema {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let schema = match &self.config {
            Some(path) => offline(path)?,
            None => match global.client()?.get_text("/api/v1/policy/schema").await {
                Err(failure) if failure.exit() == Exit::Unreachable && global.node.is_none() => {
                    let path = Path::new(CONFIGURATION);
                    if !path.is_file() {
                        return Err(failure.hint("or name a configuration with -c"));
                    }
                    offline(path)?
                }
                answer => answer?,
            },
        };
        let output = global.output();
        if output.is_json() {
            return output.document(&Object::new().with("schema", schema).into());
        }
        output.text(&schema)
    }
}

fn offline(path: &Path) -> Result<String, Failure> {
    let loaded = configuration_or_said(path)?.loaded;
    let mut tools = named_tools(&loaded.config.workspaces);
    // A grant's glob names no tool.
    tools.retain(|tool| !tool.name.as_str().contains(['*', '?']));
    Ok(cedar_schema(&vocabulary(&loaded, &tools)))
}
