//! Runs that are started here.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::StreamBody;
use ringfence_json::{Object, Value};
use ringfence_kernel::{Actor, Begin, RunError};
use ringfence_runs::{Follower, Line, OutputError, Signal, StartError};
use ringfence_types::{AgentName, RunId, WorkspaceName};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::super::call::{Answer, Call};
use super::super::lines::Receiving;
use super::super::problem::Problem;
use super::super::show;
use super::runs::note;
use crate::config::{AgentConfig, WorkspaceConfig};
use crate::limits::INPUT_BYTES_MAX;
use crate::setup::run_plan;

/// Lines that wait for a slow reader; then the file is read no further for them.
const QUEUE: usize = 64;

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(error) => error.into(),
            StartError::QueueFull | StartError::Stopping => Self::unavailable(error.to_string()),
            StartError::NoSpawner(_) => Self::conflict(error.to_string()),
        }
    }
}

impl From<OutputError> for Problem {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Nothing => Self::unknown(error.to_string())
                .hint("it runs elsewhere, never started, or its time is over; `ringfence audit query --run` shows what it did"),
            OutputError::Read(_) => Self::unavailable(error.to_string()),
        }
    }
}

pub(in crate::api) async fn start(call: Call) -> Result<Answer, Problem> {
    let begin = Begin {
        workspace: call.required("workspace")?,
        agent: call.required("agent")?,
        user: call.member("user")?,
        conversation: call.member("conversation")?,
    };
    let input = call.text("input")?.unwrap_or_default();
    if input.len() > INPUT_BYTES_MAX {
        return Err(Problem::wrong(format!("`input` can have at most {INPUT_BYTES_MAX} bytes")));
    }
    let in_force = call.desk.in_force();
    let config = &in_force.compiled.loaded.config;
    let (workspace, agent) = configured(config, &begin.workspace, &begin.agent)?;
    let plan = run_plan(config, workspace, agent).ok_or_else(|| {
        let message = format!("no program is configured for {}/{}", begin.workspace, begin.agent);
        Problem::conflict(message)
            .hint("give it one in ringfence.yaml: `run: { command: [python3, agent.py], files: . }`")
    })?;
    let takes_input = agent.run.as_ref().is_some_and(|run| run.stdin);
    if !input.is_empty() && !takes_input {
        let message = format!("{}/{} takes no input", begin.workspace, begin.agent);
        return Err(Problem::wrong(message).hint("`run: { stdin: true }` lets it read what is sent to it"));
    }
    let extra = call.texts("arguments")?;
    let by = Actor::from(&call.caller);
    let run = call.desk.runs.start(begin, plan, extra, input.as_bytes().to_vec(), &by).await?;
    Ok(Answer::Document(Object::new().with("run", run.id.to_string()).with("state", "queued")))
}

/// The agent as it is configured, else what was most likely meant.
pub(super) fn configured<'c>(
    config: &'c crate::config::Config,
    workspace: &WorkspaceName,
    agent: &AgentName,
) -> Result<(&'c WorkspaceConfig, &'c AgentConfig), Problem> {
    let unknown = |what: String, word: &str, known: Vec<&str>| {
        let near = ringfence_document::nearest(word, known.iter().copied());
        let problem = Problem::unknown(what);
        match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("there are: {}", known.join(", "))),
        }
    };
    let found = config.workspace(workspace.as_str()).ok_or_else(|| {
        let known = config.workspaces.iter().map(|workspace| workspace.name.as_str());
        unknown(format!("there is no workspace {workspace}"), workspace.as_str(), known.collect())
    })?;
    let known = || found.agents.iter().map(|agent| agent.name.as_str()).collect();
    let agent = found.agents.iter().find(|known| known.name == *agent).ok_or_else(|| {
        unknown(format!("the workspace {workspace} has no agent {agent}"), agent.as_str(), known())
    })?;
    Ok((found, agent))
}

pub(in crate::api) async fn stop(call: Call) -> Result<Answer, Problem> {
    let (run, reason) = (call.part("run")?, note(&call, "reason")?.unwrap_or("stopped by an operator"));
    let by = Actor::from(&call.caller);
    if call.desk.runs.is_living(run) {
        call.desk.runs.stop(run, reason, &by).await?;
    } else {
        // One that runs elsewhere can only be cut off.
        call.desk.kernel.kill(run, reason, &by).await?;
    }
    stands(&call, run)
}

pub(in crate::api) async fn signal(call: Call) -> Result<Answer, Problem> {
    let (run, signal) = (call.part("run")?, call.required::<Signal>("signal")?);
    let by = Actor::from(&call.caller);
    call.desk.runs.signal(run, signal, &by).await.map_err(|error| match error {
        RunError::Step(..) => {
            let message = format!("{run} has no program that runs here, so nothing takes the signal");
            Problem::conflict(message)
                .hint("`ringfence runs show` says where it stands; `ringfence runs stop` ends it")
        }
        error => error.into(),
    })?;
    stands(&call, run)
}

pub(in crate::api) async fn pause(call: Call) -> Result<Answer, Problem> {
    let (run, reason) = (call.part("run")?, note(&call, "reason")?.unwrap_or("paused by an operator"));
    call.desk.runs.pause(run, reason, &Actor::from(&call.caller)).await?;
    stands(&call, run)
}

pub(in crate::api) async fn resume_run(call: Call) -> Result<Answer, Problem> {
    let run = call.part("run")?;
    call.desk.runs.resume(run, &Actor::from(&call.caller)).await?;
    stands(&call, run)
}

fn stands(call: &Call, run: RunId) -> Result<Answer, Problem> {
    let view = call.desk.kernel.run(run).ok_or(RunError::Unknown(run))?;
    Ok(Answer::Document(show::run(&view, call.desk.kernel.now())))
}

pub(in crate::api) async fn output(call: Call) -> Result<Answer, Problem> {
    let run: RunId = call.part("run")?;
    let goes_on = call.asked_as("follow")?.unwrap_or(false);
    let (contains, stream) = (
        call.asked("contains").unwrap_or_default().to_owned(),
        call.asked_word("stream", &["stdout", "stderr"])?,
    );
    // One that waits for its place has written nothing yet.
    let follower = match call.desk.runs.follow(run) {
        Err(OutputError::Nothing) if goes_on && call.desk.runs.is_living(run) => None,
        follower => Some(follower?),
    };
    let place = follower_place(&call)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (desk, credential) = (Arc::clone(&call.desk), call.credential);
    let wanted = move |line: &Line| {
        line.text.contains(&contains) && stream.is_none_or(|stream| line.stream.as_str() == stream)
    };
    tokio::spawn(async move {
        let follower = match follower {
            Some(follower) => Some(follower),
            None => begun(&desk, run, &sender).await,
        };
        if let Some(follower) = follower {
            give_out(follower, goes_on, &sender, wanted, || desk.still_lets_look(credential)).await;
        }
        drop(place);
    });
    Ok(Answer::Lines(Body::new(StreamBody::new(Receiving(receiver)))))
}

/// A place among those who follow something.
pub(super) fn follower_place(call: &Call) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&call.desk.followers).try_acquire_owned().map_err(|_| {
        Problem::unavailable("too many follow runs and the log already").hint("end one of the others")
    })
}

/// Waits until a run writes or has ended.
async fn begun(
    desk: &super::super::desk::Desk,
    run: RunId,
    sender: &mpsc::Sender<Bytes>,
) -> Option<Follower> {
    while desk.runs.is_living(run) && !sender.is_closed() {
        if let Ok(follower) = desk.runs.follow(run) {
            return Some(follower);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    desk.runs.follow(run).ok()
}

async fn give_out(
    mut follower: Follower,
    goes_on: bool,
    sender: &mpsc::Sender<Bytes>,
    wanted: impl Fn(&Line) -> bool,
    still: impl Fn() -> bool,
) {
    while still() {
        let next = tokio::select! {
            () = sender.closed() => return,
            next = follower.next(goes_on) => next,
        };
        // What cannot be read ends here: the reader sees the run's end by asking for it.
        let Ok(lines) = next else { return };
        if lines.is_empty() {
            return;
        }
        for line in lines.iter().filter(|line| wanted(line)) {
            let mut bytes = Value::Object(line.to_object()).to_bytes();
            bytes.push(b'\n');
            if sender.send(bytes.into()).await.is_err() {
                return;
            }
        }
    }
}
