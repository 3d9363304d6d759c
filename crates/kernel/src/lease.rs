//! What is no action but reaches a server all the same: greetings, lists, streams. It is granted like an action, is
//! cut off like one, and its refusal is recorded like one.

use std::sync::Arc;

use ringfence_types::{ActionId, Code, Refusal, Scope, ServerName, ToolName};

use crate::Run;
use crate::cancel::Cancel;
use crate::kernel::Kernel;
use crate::limits::{LEASES_PER_RUN_MAX, LEASES_WITHOUT_BOUND_MAX};
use crate::live::LiveId;
use crate::record::Subject;
use crate::state::{Shared, State};
use crate::weigh::Objection;

/// Something that goes on and can be cut off. It ends when it is dropped.
#[derive(Debug)]
pub struct Lease {
    shared: Shared,
    live: LiveId,
    cancel: Cancel,
}

// === impl Kernel ===

impl Kernel {
    /// Lets a run turn to a server with something that is no action, `tools/list`, say.
    ///
    /// # Errors
    /// When the agent holds nothing of the server, and as [`Kernel::lease`].
    pub fn visit(&self, run: &Arc<Run>, server: &ServerName, method: &str) -> Result<Lease, Refusal> {
        let setup = self.setup();
        let agent = setup.agent(&run.workspace, &run.agent);
        if agent.is_some_and(|(_, agent)| agent.grants.holds_server(server)) {
            return self.lease(run, Some((server, method)));
        }
        let reason = format!("This agent holds nothing of the server `{server}`.");
        Err(self.refuse_lease(run, server, method, Objection::new(Code::NotGranted, reason)))
    }

    /// Lets a run hold something open: with a server and one of its tools or methods, or, without, with all of them.
    ///
    /// # Errors
    /// When something above the run is suspended, it has ended, or it holds too many. What concerns a server is
    /// recorded.
    pub fn lease(&self, run: &Arc<Run>, target: Option<(&ServerName, &str)>) -> Result<Lease, Refusal> {
        let scope = Scope {
            server: target.map(|(server, _)| server.clone()),
            tool: target.and_then(|(_, tool)| ToolName::new(tool).ok()),
            ..run.scope()
        };
        let objection = {
            let mut state = self.0.state.lock();
            match self.objection(&state, run, &scope) {
                None => {
                    let (live, cancel) = state.live.insert(scope, None);
                    return Ok(Lease { shared: Arc::clone(&self.0), live, cancel });
                }
                Some(objection) => objection,
            }
        };
        Err(match target {
            Some((server, tool)) => self.refuse_lease(run, server, tool, objection),
            None => objection.into_refusal(self.0.new_id(ActionId::new)),
        })
    }

    /// Refuses, on the record, what an agent asked for and what never became a proposal: it is malformed, say.
    pub fn turn_away(
        &self,
        run: &Run,
        server: &ServerName,
        tool: &str,
        code: Code,
        reason: impl Into<String>,
    ) -> Refusal {
        self.refuse_lease(run, server, tool, Objection::new(code, reason))
    }

    fn objection(&self, state: &State, run: &Run, scope: &Scope) -> Option<Objection> {
        if let Some(suspension) = state.fold.suspensions.covering(scope, self.0.clock.now()) {
            return Some(Objection::new(Code::Suspended, crate::admit::suspended_reason(&suspension.reason)));
        }
        if state.fold.runs.get(run.id).is_none_or(|known| known.ended.is_some()) {
            return Some(Objection::new(Code::Suspended, "This run has ended."));
        }
        let setup = self.setup();
        let concurrent =
            setup.agent(&run.workspace, &run.agent).and_then(|(_, agent)| agent.limits.concurrent);
        let bound = LEASES_PER_RUN_MAX + concurrent.map_or(LEASES_WITHOUT_BOUND_MAX, |bound| bound as usize);
        (state.live.leases_of(run.id) >= bound)
            .then(|| Objection::new(Code::RateLimited, format!("This run holds {bound} streams already.")))
    }

    fn refuse_lease(&self, run: &Run, server: &ServerName, tool: &str, objection: Objection) -> Refusal {
        let action = self.0.new_id(ActionId::new);
        self.0.refuse_to(Subject::of(run, server, tool), action, objection, None)
    }
}

// === impl Lease ===

impl Lease {
    /// Cut off from above: asked before each byte is written.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.state.lock().live.remove(self.live);
    }
}
