//! The list of executed calls, by which a test knows what really happened.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// Where executed calls are written down, and how long each takes.
#[derive(Clone)]
pub struct Calls {
    list: Option<Arc<File>>,
    delay: Duration,
}

impl Calls {
    /// Opens the list for appending; without a path nothing is written.
    pub fn open(path: Option<&Path>, delay: Duration) -> io::Result<Self> {
        let list = path
            .map(|path| OpenOptions::new().create(true).append(true).open(path))
            .transpose()?
            .map(Arc::new);
        Ok(Self { list, delay })
    }

    /// Executes a call: the effect is the line, which is written before the time passes, because an effect that
    /// happened must be found even if nobody waits for the answer.
    ///
    /// One `write` on a file opened with `O_APPEND`: lines of concurrent calls never mix.
    pub async fn execute(&self, tool: &str, arguments: &Value) -> io::Result<()> {
        if let Some(mut list) = self.list.as_deref() {
            let line = format!("{}\n", json!({ "tool": tool, "arguments": arguments }));
            list.write_all(line.as_bytes())?;
        }
        tokio::time::sleep(self.delay).await;
        Ok(())
    }
}
