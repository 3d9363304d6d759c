//! Calls in several rounds (MCP 2026-07-28, "Multi Round-Trip Requests"): a server answers that it needs more input,
//! and the client sends the same call again with what was asked for. What it sends then is no argument, so no rule
//! sees it; it goes on only as the answer to a question that this very tool asked this very run.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use parking_lot::Mutex;
use ringfence_json::{Object, Value};
use ringfence_kernel::Call;
use ringfence_types::{Digest, RunId, ServerName};

use crate::Limits;

/// The parameters that only a later round has.
pub(crate) const MEMBERS: [&str; 2] = ["inputResponses", "requestState"];

/// What servers asked for and was not answered yet, by run.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Mutex<HashMap<RunId, VecDeque<Asked>>>);

#[derive(Debug)]
struct Asked {
    by: Digest,
    at: Instant,
}

/// Takes what a later round has out of a request's parameters.
pub(crate) fn take(params: &mut Object) -> Option<Object> {
    let taken = MEMBERS.iter().filter_map(|name| Some((*name, params.remove(name)?)));
    let continuation = taken.fold(Object::new(), |all, (name, value)| all.with(name, value));
    (!continuation.is_empty()).then_some(continuation)
}

/// Who asked, and for what state the answer is.
fn digest(server: &ServerName, call: &Call, state: Option<&Value>) -> Digest {
    let what = match call {
        Call::Prompt { name, .. } => name.as_str(),
        Call::Resource { uri, .. } => uri.as_str(),
        Call::Tool { .. } | Call::Other { .. } => "",
    };
    let asked = Object::new()
        .with("server", server)
        .with("tool", call.tool_name())
        .with("what", what)
        .with_some("state", state.cloned());
    Digest::of(&asked.to_canonical())
}

// === impl Rounds ===

impl Rounds {
    /// Notes that a result asks for more input. The oldest of a run is forgotten where there are too many.
    pub(crate) fn note(
        &self,
        run: RunId,
        server: &ServerName,
        call: &Call,
        result: &Object,
        limits: &Limits,
    ) {
        if result.text("resultType") != Some("input_required") {
            return;
        }
        let by = digest(server, call, result.get("requestState"));
        let mut runs = self.0.lock();
        let asked = runs.entry(run).or_default();
        asked.retain(|asked| asked.by != by);
        asked.push_back(Asked { by, at: Instant::now() });
        if asked.len() > limits.rounds_per_run {
            asked.pop_front();
        }
    }

    /// Whether the call's continuation answers what its tool asked this run for.
    pub(crate) fn knows(&self, run: RunId, server: &ServerName, call: &Call, limits: &Limits) -> bool {
        let Some(continuation) = call.continuation() else { return true };
        let by = digest(server, call, continuation.get("requestState"));
        let runs = self.0.lock();
        let mut asked = runs.get(&run).into_iter().flatten();
        asked.any(|asked| asked.by == by && asked.at.elapsed() < limits.round_time)
    }

    /// Forgets what is too old to be answered.
    pub(crate) fn sweep(&self, limits: &Limits) {
        self.0.lock().retain(|_, asked| {
            asked.retain(|asked| asked.at.elapsed() < limits.round_time);
            !asked.is_empty()
        });
    }
}
