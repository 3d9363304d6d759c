//! `ringfence runs artifacts`

use std::path::PathBuf;

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_types::{Digest, RunId, format_size};

use crate::cli::Global;
use crate::client::{Client, encoded};
use crate::failure::{Exit, Failure};
use crate::fetch::{Folder, Target, fetch};
use crate::output::Table;
use crate::show::{field, objects, size};

/// List what a run left in /agent/out, or fetch it
///
/// What is fetched is held against what the log says it was, and stands under its name when it is whole.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ringfence runs artifacts run_01kaj3v5zk8q6x2m4n7p9r1s3t\n  \
    ringfence runs artifacts run_01kaj3v5zk8q6x2m4n7p9r1s3t report.pdf -o report.pdf\n  \
    ringfence runs artifacts run_01kaj3v5zk8q6x2m4n7p9r1s3t --all ./out")]
pub struct Artifacts {
    /// Which run
    run: RunId,
    /// Which file, as it is listed
    #[arg(requires = "output")]
    name: Option<String>,
    /// Where it goes; - is standard output
    #[arg(short, long, value_name = "FILE", requires = "name")]
    output: Option<String>,
    /// Fetch all of them into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    all: Option<PathBuf>,
}

impl Artifacts {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let (client, run) = (global.client()?, self.run);
        let answer = client.get(&format!("/api/v1/runs/{run}/artifacts")).await?;
        let files = objects(&answer, "artifacts");
        match (self.name, self.output, self.all) {
            (Some(name), Some(output), _) => {
                let file = files.iter().find(|file| file.text("name") == Some(name.as_str()));
                let bytes = match file {
                    Some(file) => fetch_one(&client, run, file, Target::of(&output)).await?,
                    // The node knows what was most likely meant.
                    None => fetch(&client, &path(run, &name), None, Target::of(&output)).await?,
                };
                if output != "-" && !global.json {
                    global.output().line(&format!("{} to {output}", format_size(bytes)))?;
                }
                Ok(())
            }
            (_, _, Some(folder)) => fetch_all(global, &client, run, &files, &folder).await,
            _ => list(global, &answer, &files),
        }
    }
}

fn list(global: &Global, answer: &Object, files: &[&Object]) -> Result<(), Failure> {
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer.clone()));
    }
    let mut table = Table::new(["name", "size", "sha256"]);
    for file in files {
        table.row([field(file, "name"), size(file, "bytes"), field(file, "sha256")]);
    }
    output.table(&table, "nothing is kept of what it left")?;
    let left_out = objects(answer, "left_out");
    let count = answer.get("left_out_count").and_then(Value::as_u64).unwrap_or_default();
    for one in &left_out {
        output.line(&format!("left out: {}: {}", field(one, "name"), field(one, "why")))?;
    }
    match count.saturating_sub(left_out.len() as u64) {
        0 => Ok(()),
        more => output.line(&format!("left out: {more} more")),
    }
}

async fn fetch_all(
    global: &Global,
    client: &Client,
    run: RunId,
    files: &[&Object],
    folder: &std::path::Path,
) -> Result<(), Failure> {
    let into = Folder::open(folder)?;
    let (mut fetched, mut bytes, mut failed) = (0_u64, 0_u64, 0_u64);
    for file in files {
        let name = file.text("name").unwrap_or_default();
        let target = into.file(name)?;
        match fetch_one(client, run, file, target).await {
            Ok(more) => (fetched, bytes) = (fetched + 1, bytes + more),
            Err(failure) if failure.exit() == Exit::Unreachable => return Err(failure),
            Err(failure) => {
                failed += 1;
                eprintln!("{}: {failure}", crate::safe(name));
            }
        }
    }
    let output = global.output();
    if output.is_json() {
        let said = Object::new().with("fetched", fetched).with("bytes", bytes).with("failed", failed);
        output.document(&Value::Object(said))?;
    } else {
        output.line(&format!("{fetched} files, {}, to {}", format_size(bytes), folder.display()))?;
    }
    if failed > 0 { Err(Failure::said(Exit::No)) } else { Ok(()) }
}

async fn fetch_one(client: &Client, run: RunId, file: &Object, target: Target) -> Result<u64, Failure> {
    let digest: Option<Digest> = file.text("sha256").and_then(|text| text.parse().ok());
    let digest = digest.ok_or_else(|| Failure::no("the node does not say what it should be"))?;
    fetch(client, &path(run, file.text("name").unwrap_or_default()), Some(&digest), target).await
}

fn path(run: RunId, name: &str) -> String {
    format!("/api/v1/runs/{run}/artifacts/{}", encoded(name))
}
