//! Files that come from a node, to where somebody wants them.

mod target;

use std::fs::File;
use std::io::Write as _;

use ringfence_types::{Digest, Hasher};

pub use target::{Folder, Target};

use crate::client::Client;
use crate::failure::Failure;

/// Fetches what stands under a path of the node; held against what it should be, where that is known. Nothing stands in the
/// target's place before it is whole.
pub async fn fetch(
    client: &Client,
    path: &str,
    expected: Option<&Digest>,
    target: Target,
) -> Result<u64, Failure> {
    let mut download = client.bytes(path).await?;
    let mut out = target.open()?;
    let (mut hasher, mut bytes) = (Hasher::new(), 0);
    while let Some(part) = download.next().await? {
        hasher.update(&part);
        bytes += part.len() as u64;
        write(out.file(), &part)?;
    }
    if expected.is_some_and(|expected| hasher.finish() != *expected) {
        return Err(Failure::no("what came is not what the log names; it is not kept"));
    }
    out.finish()?;
    Ok(bytes)
}

fn write(file: &mut File, bytes: &[u8]) -> Result<(), Failure> {
    file.write_all(bytes).map_err(|error| Failure::no(format!("cannot be written: {error}")))
}
