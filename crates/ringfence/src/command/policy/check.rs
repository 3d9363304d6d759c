//! `ringfence policy check`

use std::path::PathBuf;

use clap::Args;
use ringfence_document::Diagnostic;
use ringfence_json::Object;

use super::files::{POLICY, compiled, read, rendered};
use crate::cli::Global;
use crate::command::check::eprint_text;
use crate::failure::{Exit, Failure};

/// Check policy files by themselves; `ringfence check` holds them against the configuration too
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence policy check safety-policy.yaml")]
pub struct Check {
    /// The files, compiled together
    #[arg(value_name = "FILE", default_value = POLICY)]
    files: Vec<PathBuf>,
}

impl Check {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let sources = read(&self.files)?;
        let output = global.output();
        let (diagnostics, digest) = match compiled(&sources) {
            Ok(compiled) => (compiled.warnings, Some(compiled.set.digest())),
            Err(diagnostics) => (diagnostics, None),
        };
        if output.is_json() {
            let list: Vec<Object> = diagnostics.iter().map(Diagnostic::to_object).collect();
            let digest_text = digest.map(|digest| digest.to_string());
            let document = Object::new().with("ok", digest.is_some()).with_some("digest", digest_text);
            output.document(&document.with("diagnostics", list).into())?;
        } else {
            eprint_text(&rendered(&diagnostics, &sources));
        }
        match digest {
            Some(_) if output.is_json() => Ok(()),
            Some(digest) => {
                output.line(&format!("ok: version {}, {} warnings", digest.short(), diagnostics.len()))
            }
            None => Err(Failure::said(Exit::Usage)),
        }
    }
}
