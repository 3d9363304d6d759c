//! `ringfence__spawn` and `ringfence__runs`: the gateway's own tools under `/mcp`, for runs that may start others.

use std::sync::Arc;

use http::Response;
use ringfence_json::{Object, Value};
use ringfence_kernel::RunError;
use ringfence_policy::Narrowing;
use ringfence_types::{ActionId, AgentName, Refusal, RunId};

use super::shown;
use super::start::{NOT_YOURS, Started, ended, lease, start, stop, take_wait, turn_away};
use crate::gate::Gate;
use crate::http::outbound::Outbound;
use crate::mcp::answers;
use crate::mcp::call::{depart, refused};
use crate::mcp::era::Era;
use crate::mcp::fault::{self, Fault};
use crate::mcp::flight::Caller;
use crate::mcp::message::{Request, Response as Answer};
use crate::mcp::method::Kind;
use crate::mcp::refusal::tell_narrowed;
use crate::mcp::turned_away;

/// One of the gateway's own tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Starts a run.
    Spawn,
    /// Looks after those that were started.
    Runs,
}

const SPAWN: &str = "ringfence__spawn";
const RUNS: &str = "ringfence__runs";

/// What `ringfence__runs` does.
const ACTIONS: [&str; 5] = ["list", "show", "output", "wait", "stop"];

// === impl Own ===

impl Own {
    /// The tool of this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            SPAWN => Some(Self::Spawn),
            RUNS => Some(Self::Runs),
            _ => None,
        }
    }
}

/// What these tools are, for a run that may start runs of these agents; nothing for one that may start none.
pub(crate) fn definitions(agents: &[AgentName]) -> Vec<Value> {
    if agents.is_empty() {
        Vec::new()
    } else {
        vec![spawn_definition(agents).into(), runs_definition().into()]
    }
}

fn spawn_definition(agents: &[AgentName]) -> Object {
    let names: Vec<Value> = agents.iter().map(|agent| Value::from(agent.as_str())).collect();
    let text = |description: &str| Object::new().with("type", "string").with("description", description);
    let of =
        |kind: &str, description: &str| Object::new().with("type", kind).with("description", description);
    let budget = Object::new()
        .with("usd", of("number", "US dollars"))
        .with("tokens", of("integer", "Tokens, read and written"))
        .with("actions", of("integer", "Actions of any kind"));
    let budget = schema("What it may use up, at most; what it uses counts for you too.", budget, &[]);
    let texts = of("array", "Arguments for its program").with("items", Object::new().with("type", "string"));
    let properties = Object::new()
        .with("agent", text("Which agent").with("enum", names))
        .with("arguments", texts)
        .with("input", text("What its program reads on standard input, if it reads any"))
        .with("budget", budget)
        .with("wall", text("For how long it may run at most, such as 90s or 5m"))
        .with("wait", of("boolean", "Whether to wait for its end (true, the default) for up to a minute"));
    Object::new()
        .with("name", SPAWN)
        .with("title", "Start a sub-agent")
        .with(
            "description",
            "Starts another agent in a sandbox of its own, and gives back how it ended and the last part of what it wrote. It can do \
             no more than you can, what it uses up counts for you, and it ends when you do. If it is still running when the \
             answer comes, wait for it with ringfence__runs.",
        )
        .with("inputSchema", schema("", properties, &["agent"]))
        .with("annotations", Object::new().with("readOnlyHint", false).with("openWorldHint", true))
}

fn runs_definition() -> Object {
    let of = |description: &str| Object::new().with("type", "string").with("description", description);
    let actions: Vec<Value> = ACTIONS.iter().map(|action| Value::from(*action)).collect();
    let properties = Object::new()
        .with(
            "action",
            of("list: all of them; show: how one stands; output: the last part of what it wrote; wait: until it has ended, for up \
                to a minute; stop: ask it to end")
            .with("enum", actions),
        )
        .with("run", of("Which, for everything but list: run_…"));
    Object::new()
        .with("name", RUNS)
        .with("title", "Look after sub-agents")
        .with(
            "description",
            "Shows, waits for and stops the runs that you have started with ringfence__spawn.",
        )
        .with("inputSchema", schema("", properties, &["action"]))
        .with("annotations", Object::new().with("destructiveHint", false).with("openWorldHint", false))
}

fn schema(description: &str, properties: Object, required: &[&str]) -> Object {
    let required: Vec<Value> = required.iter().map(|name| Value::from(*name)).collect();
    Object::new()
        .with("type", "object")
        .with_some("description", (!description.is_empty()).then_some(description))
        .with("properties", properties)
        .with_some("required", (!required.is_empty()).then_some(required))
        .with("additionalProperties", false)
}

/// Why a call of one of these tools has no result.
enum No {
    Refused(Box<Refusal>),
    /// A sentence for the model.
    Wrong(String),
}

impl From<Box<Refusal>> for No {
    fn from(refusal: Box<Refusal>) -> Self {
        Self::Refused(refusal)
    }
}

/// Calls one of them.
pub(crate) async fn call(caller: Caller, own: Own, mut request: Request) -> Response<Outbound> {
    let arguments = match take_arguments(&mut request) {
        Ok(arguments) => arguments,
        Err(reason) => {
            let refusal = turn_away(&caller.gate, &caller.run, None, reason);
            return refused(&caller, Kind::Tool, &request, &refusal);
        }
    };
    let in_flight = match depart(&caller, &request) {
        Ok(in_flight) => in_flight,
        Err(crowded) => return turned_away::crowded(&caller, None, Kind::Tool, &request, crowded),
    };
    let doing = async {
        match own {
            Own::Spawn => spawn(&caller, arguments).await,
            Own::Runs => runs(&caller, &arguments).await,
        }
    };
    let done = match &in_flight {
        None => doing.await,
        Some(in_flight) => tokio::select! {
            biased;
            // What was started goes on: it is listed, and can be stopped.
            () = in_flight.called_off.cancelled() => {
                let fault = Fault::answer(fault::INTERNAL_ERROR, "the client called the request off");
                return answers::fault(&caller, &fault, Some(request.id));
            }
            done = doing => done,
        },
    };
    match done {
        Ok(result) => answers::json(&caller, &Answer::result(request.id, result)),
        Err(No::Refused(refusal)) => refused(&caller, Kind::Tool, &request, &refusal),
        Err(No::Wrong(reason)) => {
            let error = result(caller.era, &Object::new().with("error", reason), true);
            answers::json(&caller, &Answer::result(request.id, error))
        }
    }
}

fn take_arguments(request: &mut Request) -> Result<Object, &'static str> {
    match request.params.as_mut().and_then(|params| params.remove("arguments")) {
        None => Ok(Object::new()),
        Some(Value::Object(arguments)) => Ok(arguments),
        Some(_) => Err("`arguments` has to be an object."),
    }
}

async fn spawn(caller: &Caller, mut asked: Object) -> Result<Object, No> {
    let (gate, run) = (&caller.gate, &caller.run);
    let waits = take_wait(&mut asked, true).map_err(|reason| Box::new(turn_away(gate, run, None, reason)))?;
    // Before anything is started: who may not wait, may not start either.
    let held = lease(gate, run)?;
    let Started { action, run: child, narrowed } = start(gate, run, asked).await?;
    let view = if waits { ended(gate, &held, child.id).await? } else { gate.kernel.run(child.id) };
    let view = view.ok_or_else(|| No::Wrong(NOT_YOURS.to_owned()))?;
    let mut shown = shown::run(gate, &view);
    if waits {
        shown = shown::with_output(gate, &view, shown).await;
    }
    let mut result = result(caller.era, &shown, false);
    tell_narrowed(&mut result, action, &narrowed);
    Ok(result)
}

async fn runs(caller: &Caller, arguments: &Object) -> Result<Object, No> {
    let (gate, run) = (&caller.gate, &caller.run);
    let held = lease(gate, run)?;
    let wrong = |reason: String| No::Wrong(reason);
    let action = arguments.text("action").unwrap_or_default();
    if !ACTIONS.contains(&action) || arguments.iter().any(|(name, _)| name != "action" && name != "run") {
        return Err(wrong(format!("Give `action`, one of {}, and `run`.", ACTIONS.join(", "))));
    }
    if action == "list" {
        return Ok(result(caller.era, &shown::runs(gate, run.id), false));
    }
    let child: RunId = match arguments.text("run").map(str::parse) {
        Some(Ok(child)) => child,
        _ => return Err(wrong("Give `run`: which, such as run_01kaj3v5zk8q6x2m4n7p9r1s3t.".to_owned())),
    };
    let own = || gate.kernel.child_of(run.id, child).ok_or_else(|| No::Wrong(NOT_YOURS.to_owned()));
    own()?;
    match action {
        "wait" => drop(ended(gate, &held, child).await?),
        "stop" => {
            if let Err(RunError::LedgerUnavailable(error)) = stop(gate, child).await {
                return Err(wrong(error.to_string()));
            }
        }
        _ => {}
    }
    let view = own()?;
    let shown = shown::run(gate, &view);
    let shown = match action {
        "output" | "wait" => shown::with_output(gate, &view, shown).await,
        _ => shown,
    };
    Ok(result(caller.era, &shown, false))
}

/// A result of a tool: for programs, and the same as text for models whose clients hand on nothing else.
fn result(era: Era, shown: &Object, is_error: bool) -> Object {
    let text = Value::Object(shown.clone()).to_string();
    let block = Object::new().with("type", "text").with("text", text);
    let result = match era {
        Era::Modern => Object::new().with("resultType", "complete"),
        Era::Legacy => Object::new(),
    };
    let result = result.with("content", vec![Value::from(block)]).with("structuredContent", shown.clone());
    result.with_some("isError", is_error.then_some(true))
}

/// What was changed in what the agent asked for, where there is no result of a tool to say it in.
pub(super) fn with_narrowed(shown: Object, action: ActionId, narrowed: &[Narrowing]) -> Object {
    let one = |narrowing: &Narrowing| {
        Object::new()
            .with("argument", narrowing.pointer.as_str())
            .with("from", narrowing.from.clone())
            .with("to", narrowing.to.clone())
            .with("rule", &narrowing.rule)
    };
    let narrowed: Vec<Object> = narrowed.iter().map(one).collect();
    shown.with("action", action.to_string()).with_some("narrowed", (!narrowed.is_empty()).then_some(narrowed))
}

// === impl Gate ===

impl Gate {
    /// The gateway's own tools, as far as a run may use them.
    pub(crate) fn own_tools(&self, run: &Arc<ringfence_kernel::Run>) -> Vec<Value> {
        definitions(&self.kernel.spawnable(run))
    }
}

#[cfg(test)]
mod tests {
    use ringfence_policy::ToolDefinition;

    use super::*;

    #[test]
    fn the_tools_are_shown_to_those_who_may_start_something_and_are_proper_ones() {
        assert!(definitions(&[]).is_empty());
        let all = definitions(&[AgentName::new("researcher").unwrap()]);
        let parsed: Vec<ToolDefinition> =
            all.iter().map(|definition| ToolDefinition::parse(definition).unwrap()).collect();
        for (definition, own) in parsed.iter().zip([Own::Spawn, Own::Runs]) {
            assert_eq!(Own::of_name(definition.name.as_str()), Some(own));
        }
        let fits = |at: usize, text: &str| {
            let value = ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default()).unwrap();
            parsed[at].input.validate(&value.into_object().unwrap()).is_ok()
        };
        assert!(fits(0, r#"{"agent":"researcher","budget":{"usd":0.5},"wait":false}"#));
        assert!(!fits(0, r#"{"agent":"other"}"#) && !fits(0, r#"{"agent":"researcher","more":1}"#));
        assert!(fits(1, r#"{"action":"list"}"#) && !fits(1, r#"{"action":"kill"}"#));
    }
}
