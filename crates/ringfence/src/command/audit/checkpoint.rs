//! `ringfence audit checkpoint`

use clap::Args;
use ringfence_json::Object;

use super::source::{self, Source};
use crate::cli::Global;
use crate::failure::Failure;

/// Print the newest signed checkpoint: give it to somebody else to keep
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence audit checkpoint > checkpoint-2026-11-21.txt")]
pub struct Checkpoint {}

impl Checkpoint {
    pub async fn run(global: &Global) -> Result<(), Failure> {
        let note = match source::find(global).await? {
            Source::Node(client) => client.get_text("/api/v1/audit/checkpoint").await?,
            Source::Folder(books) => books.checkpoint(),
        };
        let output = global.output();
        if output.is_json() {
            return output.document(&Object::new().with("checkpoint", note).into());
        }
        output.text(&note)
    }
}
