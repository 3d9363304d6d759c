//! The chapter on sandboxes: a program as an agent tries to get out.

use super::cast::run;
use super::story::{Stage, expect};
use crate::client::Client;
use crate::failure::Failure;
use crate::show::field;

/// What the program is: each way is tried, and what came of it written down.
pub(super) const SCRIPT: &str = include_str!("../../../../examples/demo-escape.sh");

/// What it writes of a way that leads nowhere, and of one that does.
const SHUT: &str = "shut: ";
const OPEN: &str = "OPEN: ";

impl Stage<'_> {
    /// A program runs as an agent and tries to get out.
    pub(super) async fn tries_to_get_out(&mut self, client: &Client) -> Result<(), Failure> {
        let step = "tries to get out of its sandbox";
        self.book.skip_to_end();
        let (shut, open) = tried(client, step).await?;
        let begun = loop {
            let entry = self.entry(step, "run").await?;
            match entry.text("event") {
                "running" => break entry,
                "ended" => return self.line("A program starts as an agent.", NO_SANDBOX, &entry),
                _ => {}
            }
        };
        let layers = begun.count("layers", |state| state.starts_with("in force"));
        self.line(
            "A shell script starts as an agent.",
            &format!("In a sandbox of {layers} layers."),
            &begun,
        )?;
        let refusal = self.entry(step, "refusal").await?;
        let as_told = open.is_empty() && shut >= 5 && refusal.text("host") == "evil.example";
        expect(step, as_told, &format!("{shut} ways were shut, open were {open:?}"))?;
        self.line(
            &format!("It tries {shut} ways out, one of them a host."),
            &format!("All shut; {} is on record.", refusal.text("host")),
            &refusal,
        )
    }
}

const NO_SANDBOX: &str = "Refused: no sandbox here (ringfence doctor).";

/// How many ways were shut, and which were open.
async fn tried(client: &Client, step: &str) -> Result<(usize, Vec<String>), Failure> {
    let (run, lines) = run(client, "prisoner", None).await?;
    let shut = lines.iter().filter(|line| line.starts_with(SHUT)).count();
    let open: Vec<String> =
        lines.iter().filter_map(|line| line.strip_prefix(OPEN)).map(str::to_owned).collect();
    if shut == 0 && open.is_empty() {
        // Where there is no sandbox, nothing was tried.
        let view = client.get(&format!("/api/v1/runs/{run}")).await?;
        expect(step, field(&view, "ended_by") == "start", "the program tried nothing")?;
    }
    Ok((shut, open))
}
