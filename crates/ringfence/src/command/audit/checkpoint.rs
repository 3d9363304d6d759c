//! `ringfence audit checkpoint`

use clap::Args;
use ringfence_json::{Object, Value};

use super::source::{self, Source};
use crate::cli::Global;
use crate::failure::Failure;

/// Print the newest signed checkpoint, and on standard error the key that `audit verify --key` takes
///
/// Give both to somebody else to keep: what they prove, whoever has this machine can no longer change.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence audit checkpoint > checkpoint-2026-11-21.txt")]
pub struct Checkpoint {}

impl Checkpoint {
    pub async fn run(global: &Global) -> Result<(), Failure> {
        let (note, key) = match source::find(global).await? {
            Source::Node(client) => {
                let note = client.get_text("/api/v1/audit/checkpoint").await?;
                let status = client.get("/api/v1/status").await?;
                let key = status.get("log").and_then(|log| log.get("key")).and_then(Value::as_str);
                (note, key.map(str::to_owned))
            }
            Source::Folder(books) => {
                let both = books.checkpoint().and_then(|note| Ok((note, books.verifier_key()?)));
                both.map_err(|error| Failure::no(error.to_string()))?
            }
        };
        let output = global.output();
        if output.is_json() {
            let document = Object::new().with("checkpoint", note).with_some("key", key);
            return output.document(&document.into());
        }
        output.text(&note)?;
        match key {
            Some(key) => eprintln!("verifier key: {}", crate::safe(&key)),
            None => eprintln!("the folder does not say which key signed it: there is no `key.pub`"),
        }
        Ok(())
    }
}
