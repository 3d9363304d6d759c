//! `ringfence init`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_types::OrganizationName;

use super::check::CONFIGURATION;
use crate::cli::Global;
use crate::failure::Failure;

const CONFIGURATION_TEMPLATE: &str = include_str!("init/ringfence.yaml");
const POLICY_TEMPLATE: &str = include_str!("init/safety-policy.yaml");
const POLICY: &str = "safety-policy.yaml";

/// Write a commented ringfence.yaml and safety-policy.yaml here, and a folder to try them on
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence init")]
pub struct Init {
    /// The organization's name [default: the folder's name]
    #[arg(long)]
    organization: Option<OrganizationName>,
}

impl Init {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let folder = std::env::current_dir()
            .map_err(|error| Failure::usage(format!("cannot tell which folder this is: {error}")))?;
        let organization = self.organization.unwrap_or_else(|| organization_of(&folder));
        let written = write(&folder, &organization)?;
        let output = global.output();
        if output.is_json() {
            let files: Vec<Value> = written.iter().map(|path| path.display().to_string().into()).collect();
            return output.document(&Object::new().with("written", Value::Array(files)).into());
        }
        for path in &written {
            output.line(&format!("wrote {}", path.display()))?;
        }
        output.line("next: edit them, `ringfence check`, `ringfence up`")
    }
}

/// Writes both files or neither, and makes the folder that the example shares.
fn write(folder: &Path, organization: &OrganizationName) -> Result<Vec<PathBuf>, Failure> {
    let files = [
        (folder.join(CONFIGURATION), CONFIGURATION_TEMPLATE.replace("{organization}", organization.as_str())),
        (folder.join(POLICY), POLICY_TEMPLATE.to_owned()),
    ];
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        return Err(Failure::usage(format!("{name} is there already"))
            .hint("move it away, or edit it; nothing was written"));
    }
    // What the example's tool server may see.
    let shared = folder.join("files");
    std::fs::create_dir_all(&shared)
        .map_err(|error| Failure::usage(format!("cannot make {}: {error}", shared.display())))?;
    let mut written = Vec::new();
    for (path, text) in files {
        let create = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let done = create.and_then(|mut file| file.write_all(text.as_bytes()));
        done.map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
        written.push(path);
    }
    Ok(written)
}

/// The folder's name, made a name.
#[expect(clippy::expect_used, reason = "the literal is a name: letters only")]
fn organization_of(folder: &Path) -> OrganizationName {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fits = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    let name: String = name.chars().map(fits).collect();
    let name = name.trim_matches('-');
    OrganizationName::new(name).unwrap_or_else(|_| OrganizationName::new("example").expect("a literal name"))
}
