//! `ringfence run`

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use ringfence_json::{Object, Value};

use super::run_signals::pass_on;
use super::runs::output_path;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::input::read_text;
use crate::show::{add, field};

/// How often it is looked whether a run has ended, once it writes nothing any more.
const LOOK: Duration = Duration::from_millis(20);

/// How often it is looked what a run waits for.
const LOOK_AT_WAITING: Duration = Duration::from_millis(500);

/// Start an agent in a sandbox, follow it, and exit with its status
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringfence run assistant -w research\n  ringfence run assistant -w research --user dana -- --topic tides\n\n\
    Its status is 128 and the signal's number if a signal ended it, and 3 if the node was lost. HUP, INT, QUIT, TERM, USR1 and USR2 are \
    passed on to the program as they are; a second Ctrl-C within three seconds stops the run, and a third kills it."
)]
pub struct Run {
    /// Which agent, as in ringfence.yaml; it needs `run: { command: … }` there
    agent: String,
    /// Where it belongs
    #[arg(short, long)]
    workspace: String,
    /// For whom it works
    #[arg(long)]
    user: Option<String>,
    /// What it is part of
    #[arg(long)]
    conversation: Option<String>,
    /// A file that its program reads on standard input; - is what this command reads
    #[arg(long, value_name = "FILE")]
    input: Option<String>,
    /// Start it, print its name, and leave it running
    #[arg(short, long)]
    detach: bool,
    /// More arguments for its program
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Run {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        let input = self.input.as_deref().map(|given| read_text(given, "the input")).transpose()?;
        let arguments: Vec<Value> = self.arguments.iter().map(|text| Value::from(text.as_str())).collect();
        let body = Object::new()
            .with("workspace", self.workspace)
            .with("agent", self.agent)
            .with_some("user", self.user)
            .with_some("conversation", self.conversation)
            .with("arguments", arguments)
            .with_some("input", input);
        let answer = client.post("/api/v1/runs", body).await?;
        let run = field(&answer, "run");
        let output = global.output();
        if self.detach {
            return if output.is_json() {
                output.document(&Value::Object(answer))
            } else {
                output.line(&run)
            };
        }
        if std::io::stderr().is_terminal() && !output.is_json() {
            eprintln!("{run}");
        }
        let ended = match to_its_end(&client, &run, output.is_json()).await {
            Ok(ended) => ended,
            Err(failure) => {
                if failure.exit() == Exit::Quiet {
                    say_it_goes_on(&client, &run).await;
                }
                return Err(lost(failure, &run));
            }
        };
        if output.is_json() {
            output.document(&Value::Object(ended.clone()))?;
        } else {
            say_why(&ended);
        }
        match status_of(&ended) {
            0 => Ok(()),
            status => Err(Failure::said(Exit::Program(status))),
        }
    }
}

/// Follows a run to its end.
async fn to_its_end(client: &Client, run: &str, is_json: bool) -> Result<Object, Failure> {
    tokio::select! {
        followed = follow(client, run, is_json) => followed?,
        failure = pass_on(client, run) => return Err(failure),
        failure = tell_what_it_waits_for(client, run), if !is_json => return Err(failure),
    }
    ended(client, run).await
}

/// What is said when the node went away under the run.
fn lost(failure: Failure, run: &str) -> Failure {
    if failure.exit() != Exit::Unreachable {
        return failure;
    }
    failure.hint(format!(
        "the run is {run}; its program ended with the node, if that went down. `ringfence up`, then `ringfence runs show {run}`"
    ))
}

/// Says on standard error that a run goes on when nobody reads any more what it writes, if it does.
async fn say_it_goes_on(client: &Client, run: &str) {
    let view = client.get(&format!("/api/v1/runs/{run}")).await;
    if view.is_ok_and(|view| field(&view, "state") != "ended") {
        // Where nobody reads that either, there is nobody to tell.
        let _ = writeln!(
            std::io::stderr(),
            "ringfence: nobody reads any more what {run} writes; it goes on: `ringfence runs logs {run} --follow` \
             shows it, `ringfence runs stop {run}` ends it"
        );
    }
}

/// Says on standard error what a run waits for before it begins. Returns only when the node cannot be asked any more.
async fn tell_what_it_waits_for(client: &Client, run: &str) -> Failure {
    let mut told = String::new();
    loop {
        let view = match client.get(&format!("/api/v1/runs/{run}")).await {
            Ok(view) => view,
            Err(failure) => return failure,
        };
        if !["queued", "starting"].contains(&&*field(&view, "state")) {
            say_what_is_missing(&view);
            break;
        }
        let awaited = field(&view, "waits_for");
        if awaited != told && !awaited.is_empty() {
            eprintln!("ringfence: {run} waits for {}", crate::safe(&awaited));
        }
        told = awaited;
        tokio::time::sleep(LOOK_AT_WAITING).await;
    }
    std::future::pending().await
}

/// Prints what the run writes, each stream to its own.
async fn follow(client: &Client, run: &str, is_json: bool) -> Result<(), Failure> {
    let mut lines = client.lines(&output_path(run, true, None)).await?;
    while let Some(line) = lines.next().await? {
        print(&line, is_json)?;
    }
    Ok(())
}

/// Prints one line where it belongs.
pub(super) fn print(line: &Object, is_json: bool) -> Result<(), Failure> {
    // Whole: it is what the program wrote, and not said about it.
    let mut text = line.text("text").unwrap_or_default().to_owned();
    if is_json {
        text = String::from_utf8_lossy(&Value::Object(line.clone()).to_bytes()).into_owned();
    } else if std::io::stdout().is_terminal() {
        // What strangers write must not command the terminal.
        text = crate::safe(&text);
    }
    if line.get("goes_on").and_then(Value::as_bool) != Some(true) || is_json {
        text.push('\n');
    }
    let is_error = field(line, "stream") == "stderr" && !is_json;
    if is_error {
        std::io::stderr().lock().write_all(text.as_bytes())?;
    } else {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

/// The run, once it has ended.
async fn ended(client: &Client, run: &str) -> Result<Object, Failure> {
    loop {
        let view = client.get(&format!("/api/v1/runs/{run}")).await?;
        if field(&view, "state") == "ended" {
            return Ok(view);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Bounds of a run that a machine may not be able to keep.
const BOUNDS: [&str; 3] = ["memory-limit", "process-limit", "cpu-limit"];

/// Says on standard error which bounds a run does not have.
fn say_what_is_missing(view: &Object) {
    let layers = view.get("layers").and_then(Value::as_object);
    for (bound, why) in BOUNDS.iter().filter_map(|bound| Some((bound, layers?.text(bound)?))) {
        if why.starts_with("missing") {
            eprintln!(
                "ringfence: this run has no {bound} ({}); `ringfence doctor` says how to get it",
                crate::safe(why)
            );
        }
    }
}

/// Says on standard error why it ended, unless its program did so by itself, and had the memory for it.
fn say_why(ended: &Object) {
    let lacked_memory = ended.get("memory_kills").and_then(Value::as_u64).is_some_and(|kills| kills > 0);
    if field(ended, "ended_by") != "program" || lacked_memory {
        let mut text = String::new();
        add(
            &mut text,
            format_args!("ringfence: {} ended: {}", field(ended, "run"), field(ended, "ended_because")),
        );
        eprintln!("{}", crate::safe(&text));
    }
}

/// The status to exit with: the program's own, else that of the signal; 1 where it never began.
fn status_of(ended: &Object) -> u8 {
    let number =
        |name: &str| ended.get(name).and_then(Value::as_u64).and_then(|number| u8::try_from(number).ok());
    let status =
        number("exit_code").or_else(|| number("exit_signal").map(|signal| signal.saturating_add(128)));
    match status {
        // What was ended by somebody else did not do what it was asked.
        Some(0) if field(ended, "ended_by") != "program" => 1,
        Some(status) => status,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_programs_own() {
        let ended = |by: &str| Object::new().with("ended_by", by);
        assert_eq!(status_of(&ended("program").with("exit_code", 0_u64)), 0);
        assert_eq!(status_of(&ended("program").with("exit_code", 7_u64)), 7);
        assert_eq!(status_of(&ended("person").with("exit_signal", 15_u64)), 143);
        assert_eq!(status_of(&ended("deadline").with("exit_code", 0_u64)), 1);
        assert_eq!(status_of(&ended("start")), 1);
    }
}
