//! `ringfence audit verify`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ringfence_json::Object;
use ringfence_ledger::{Archive, Report, VerifierKey, VerifyError, VerifyOptions, verify};
use ringfence_types::Digest;

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::input::read_text;
use crate::output::Progress;

/// Prove that the log is whole, without a node and without a network
///
/// Without --key and --since it can only be shown that the log is consistent with itself.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ringfence audit verify ./data --key node1+1a2b3c4d+AbCd --since checkpoint.txt"
)]
pub struct Verify {
    /// The node's data folder, or a copy of it [default: as for every command]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Who must have signed: a verifier key (C2SP signed-note)
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// A checkpoint that somebody kept: the log must still hold everything it commits to
    #[arg(long, value_name = "FILE")]
    since: Option<String>,
    /// Do not read payloads, only entries
    #[arg(long)]
    no_payloads: bool,
}

impl Verify {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => global.folder()?,
        };
        let key = self.key.as_deref().map(str::parse::<VerifierKey>).transpose();
        let key = key.map_err(|error| Failure::usage(format!("--key: {error}")))?;
        let since = self.since.as_deref().map(|path| read_text(path, "the checkpoint")).transpose()?;
        let options = VerifyOptions { key, since, payloads: !self.no_payloads, ..VerifyOptions::default() };
        let output = global.output();
        let folder = ledger_folder(&folder);
        // Without a size it is not known how far there is to go; what is wrong, the verifier says.
        let size = Archive::open(&folder).ok().map(|archive| archive.size());
        let progress = Progress::new("checking", size, Arc::clone(&options.checked));
        let verified = verify(&folder, &options);
        drop(progress);
        match verified {
            Ok(report) if output.is_json() => output.document(&document(&report).into()),
            Ok(report) => output.line(report.to_string().trim_end()),
            Err(error) => {
                if output.is_json() {
                    output
                        .document(&Object::new().with("ok", false).with("error", error.to_string()).into())?;
                    return Err(Failure::said(Exit::No));
                }
                Err(refused(&error))
            }
        }
    }
}

/// The log is in the folder `ledger` of a data folder; a copy of that alone will do.
fn ledger_folder(given: &Path) -> PathBuf {
    let below = given.join("ledger");
    if below.is_dir() { below } else { given.to_path_buf() }
}

fn refused(error: &VerifyError) -> Failure {
    match error {
        VerifyError::Since(_) => Failure::usage(error.to_string()),
        VerifyError::NotALog(_) => Failure::usage(error.to_string())
            .hint("name the node's data folder, or a copy of it: `audit verify DIR`, or --data DIR as for `ringfence up`"),
        VerifyError::Broken(_) => Failure::no(error.to_string())
            .hint("keep a copy of the folder as it is; docs/cli.md says what each finding means"),
        other => Failure::no(other.to_string()),
    }
}

fn document(report: &Report) -> Object {
    Object::new()
        .with("ok", true)
        .with("origin", report.origin.as_str())
        .with("entries", report.entries)
        .with("signed", report.signed)
        .with("root", Digest::from_bytes(report.root).to_string())
        .with("settled", report.settled)
        .with("unsettled", report.unsettled)
        .with("payloads", report.payloads)
        .with("pruned", report.pruned)
        .with("payloads_checked", report.payloads_checked)
        .with_some("key", report.key.as_deref())
        .with_some("since", report.since)
        .with("torn_bytes", report.torn_bytes)
        .with("took_ms", u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX))
}
